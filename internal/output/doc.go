// Package output writes JSON that a server answered as a person or a program
// wants it: a table, a document, or a line an item. It asks nobody anything.
package output
