// Package web tests the pages in a real browser, against a real server, PostgreSQL and an
// embedded Kafka.
package web
