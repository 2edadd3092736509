package rest

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// refuseQuery refuses what huma would answer as if all were well. A query parameter
// without a value, where its schema allows none, it takes for one that was left out:
// ?state= would list everything to a client that lost its state. Of one that comes
// twice it takes the first. No parameter here is a list.
func (a *api) refuseQuery(ctx huma.Context, next func(huma.Context)) {
	url := ctx.URL()
	query := url.Query()
	var refused []error
	for _, p := range ctx.Operation().Parameters {
		if p.In != "query" {
			continue
		}
		switch values := query[p.Name]; {
		case len(values) > 1:
			refused = append(refused, &huma.ErrorDetail{Location: "query." + p.Name, Message: "it comes more than once"})
		case len(values) == 1 && values[0] == "" && !allowsEmpty(p.Schema):
			refused = append(refused, &huma.ErrorDetail{Location: "query." + p.Name, Message: "it is empty"})
		}
	}
	if len(refused) > 0 {
		_ = huma.WriteErr(a.API, ctx, http.StatusUnprocessableEntity, "", refused...) // the client has gone: nobody to tell
		return
	}
	next(ctx)
}

func allowsEmpty(s *huma.Schema) bool {
	return s.Type == huma.TypeString && s.Format == "" && s.Pattern == "" && len(s.Enum) == 0 &&
		(s.MinLength == nil || *s.MinLength == 0)
}
