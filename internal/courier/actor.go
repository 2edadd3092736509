package courier

import "context"

type actorKey struct{}

// WithActor returns ctx with the name of who asks, for the journal.
func WithActor(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, actorKey{}, name)
}

// Actor returns who asks; "" when nobody was asked who he is.
func Actor(ctx context.Context) string {
	name, _ := ctx.Value(actorKey{}).(string)
	return name
}
