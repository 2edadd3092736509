package rest

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// refuseEmpty refuses a query parameter that is given without a value, where its
// schema allows none: huma takes it for one that was left out, and ?state= would
// list everything to a client that lost its state.
func (a *api) refuseEmpty(ctx huma.Context, next func(huma.Context)) {
	url := ctx.URL()
	query := url.Query()
	var empty []error
	for _, p := range ctx.Operation().Parameters {
		if p.In == "query" && query.Has(p.Name) && query.Get(p.Name) == "" && !allowsEmpty(p.Schema) {
			empty = append(empty, &huma.ErrorDetail{Location: "query." + p.Name, Message: "it is empty"})
		}
	}
	if len(empty) > 0 {
		_ = huma.WriteErr(a.API, ctx, http.StatusUnprocessableEntity, "", empty...) // the client has gone: nobody to tell
		return
	}
	next(ctx)
}

func allowsEmpty(s *huma.Schema) bool {
	return s.Type == huma.TypeString && s.Format == "" && s.Pattern == "" && len(s.Enum) == 0 &&
		(s.MinLength == nil || *s.MinLength == 0)
}
