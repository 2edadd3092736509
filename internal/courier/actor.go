package courier

import "context"

type actorKey struct{}

// WithActor returns ctx with the name of the caller, for the journal.
func WithActor(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, actorKey{}, name)
}

// Actor returns the name of the caller, or "" when the API requires no token.
func Actor(ctx context.Context) string {
	name, _ := ctx.Value(actorKey{}).(string)
	return name
}

// Dispatcher is the journal's source of a command, with the caller's name when the API
// requires tokens.
func Dispatcher(ctx context.Context) string {
	if name := Actor(ctx); name != "" {
		return "dispatcher:" + name
	}
	return "dispatcher"
}
