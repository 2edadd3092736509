package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"service-courier/internal/access"
)

// sessionCookie is the cookie with the token of a signed-in browser.
const sessionCookie = "service-courier-token"

type sessionAPI struct {
	callers    Callers
	refusals   *refusals
	topics     []string
	playground bool
}

const sessionPath = versioned + "/session"

func (a *api) registerSession(callers Callers, topics []string, playground bool) {
	s := sessionAPI{callers, a.refusals, topics, playground}
	register(a, public, huma.Operation{
		OperationID: "get-session", Method: http.MethodGet, Path: sessionPath, Tags: []string{"session"},
		Summary: "Show who the caller is", Description: "signed_in is false without a valid token.",
	}, s.get)
	register(a, public, huma.Operation{
		OperationID: "sign-in", Method: http.MethodPost, Path: sessionPath, Tags: []string{"session"},
		Summary: "Sign in a browser with a token",
		Description: "Sets a cookie that takes the place of the Authorization header until the browser is closed. " +
			"Scripts cannot read it (HttpOnly), and requests from other sites do not carry it (SameSite=Strict). 401: the token is unknown.",
		Errors: []int{http.StatusUnauthorized},
	}, s.signIn)
	signOut := huma.Operation{
		OperationID: "sign-out", Method: http.MethodDelete, Path: sessionPath, Tags: []string{"session"},
		Summary: "Sign out a browser", DefaultStatus: http.StatusNoContent,
	}
	register(a, public, signOut, s.signOut)
}

type sessionBody struct {
	SignedIn bool   `json:"signed_in" doc:"a valid token was sent, or none is required"`
	Required bool   `json:"token_required" doc:"false: every caller may operate"`
	Name     string `json:"name,omitempty" doc:"name of the token" example:"dispatcher"`
	Role     string `json:"role,omitempty" enum:"read,operate"`

	Topics     []string `json:"topics,omitempty" nullable:"false" doc:"those of GET /api/v1/records, the order topic first" example:"order.status.changed,courier.assignment.changed"`
	Playground bool     `json:"playground,omitempty" doc:"this is service-courier dev, whose Playground causes faults"`
}

func (s sessionAPI) body(caller access.Caller, known bool) sessionBody {
	switch {
	case s.callers == nil:
		return sessionBody{SignedIn: true, Role: string(operate), Topics: s.topics, Playground: s.playground}
	case !known:
		return sessionBody{Required: true}
	}
	return sessionBody{true, true, caller.Name, string(caller.Role), s.topics, s.playground}
}

// CredentialsInput has both places where a request may carry a token.
type CredentialsInput struct {
	Authorization string      `header:"Authorization" hidden:"true"`
	Cookie        http.Cookie `cookie:"service-courier-token" hidden:"true"`

	client string // see callerKey
}

// Resolve implements huma.Resolver.
func (in *CredentialsInput) Resolve(ctx huma.Context) []error {
	in.client = callerKey(ctx.RemoteAddr(), access.Caller{})
	return nil
}

func (s sessionAPI) get(ctx context.Context, in *CredentialsInput) (*output[sessionBody], error) {
	if s.callers == nil {
		return respond(s.body(access.Caller{}, false), nil)
	}
	token, presented := bearerOf(in.Authorization)
	if !presented {
		token = in.Cookie.Value
	}
	caller, known := s.callers.Caller(ctx, token)
	if !known && token != "" { // the answer says so, and others could try tokens here unseen
		s.refusals.report(ctx, codeUnauthorized, in.client, "GET "+sessionPath)
	}
	return respond(s.body(caller, known), nil)
}

type signInBody struct {
	Token string `json:"token" minLength:"1" maxLength:"512" doc:"of API_TOKENS"`
}

type signInInput struct {
	ForwardedProto string `header:"X-Forwarded-Proto" hidden:"true"`

	Body signInBody

	secure bool
	client string // see callerKey
}

// Resolve implements huma.Resolver.
func (in *signInInput) Resolve(ctx huma.Context) []error {
	in.client = callerKey(ctx.RemoteAddr(), access.Caller{})
	in.secure = ctx.TLS() != nil || in.ForwardedProto == "https"
	return nil
}

type sessionOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      sessionBody
}

func (s sessionAPI) signIn(ctx context.Context, in *signInInput) (*sessionOutput, error) {
	if s.callers == nil {
		return &sessionOutput{newSessionCookie("", in.secure), s.body(access.Caller{}, false)}, nil
	}
	caller, known := s.callers.Caller(ctx, in.Body.Token)
	if !known {
		s.refusals.report(ctx, codeUnauthorized, in.client, "POST "+sessionPath)
		return nil, challenge(codeUnauthorized, `, error="invalid_token"`)
	}
	return &sessionOutput{newSessionCookie(in.Body.Token, in.secure), s.body(caller, true)}, nil
}

type signedOutOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

func (s sessionAPI) signOut(context.Context, *struct{}) (*signedOutOutput, error) {
	return &signedOutOutput{newSessionCookie("", false)}, nil
}

// newSessionCookie returns the cookie of a token; with an empty token the browser removes it.
func newSessionCookie(token string, secure bool) http.Cookie {
	c := http.Cookie{Name: sessionCookie, Value: token, Path: "/", HttpOnly: true, Secure: secure, SameSite: http.SameSiteStrictMode}
	if token == "" {
		c.MaxAge = -1
	}
	return c
}
