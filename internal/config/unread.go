package config

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"time"

	"github.com/caarlos0/env/v11"
)

// wanted is the form of every type of setting that not every text is.
var wanted = map[reflect.Type]string{
	reflect.TypeFor[bool]():          "true or false",
	reflect.TypeFor[int]():           "a whole number",
	reflect.TypeFor[time.Duration](): "a time with its unit, such as 90s or 2160h",
	reflect.TypeFor[slog.Level]():    "debug, info, warn or error",
}

// unread says of each setting that could not be read which form it has to have, and
// returns their names. None is a secret: a secret may be any text.
func unread(errs []error) (problems []error, names []string) {
	for _, err := range errs {
		parse, ok := errors.AsType[env.ParseError](err)
		field, known := reflect.TypeFor[Config]().FieldByName(parse.Name)
		form := wanted[parse.Type]
		if !ok || !known || form == "" {
			problems = append(problems, err)
			continue
		}
		name := field.Tag.Get("env")
		names = append(names, name)
		problems = append(problems, fmt.Errorf("%s %q: want %s", name, os.Getenv(name), form))
	}
	return problems, names
}

// check looks at settings once those that it reads could be read: of one that
// could not, it would say what nobody set.
type check struct {
	run   func() error
	reads []string // of those that have a form
}

func (c check) can(without []string) bool {
	return !slices.ContainsFunc(c.reads, func(name string) bool { return slices.Contains(without, name) })
}
