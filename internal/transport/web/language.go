package web

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

// textRow is a text in texts.js: its key, in English, in Russian.
var textRow = regexp.MustCompile(`'([\w.]+)': \['((?:[^'\\]|\\.)*)', '((?:[^'\\]|\\.)*)'\]`)

// texts has the texts of the scripts for the page without scripts, in each language.
var texts = sync.OnceValue(func() map[string]map[language]string {
	all := make(map[string]map[language]string)
	for _, m := range textRow.FindAllStringSubmatch(string(load()["texts.js"].plain), -1) {
		all[m[1]] = map[language]string{english: m[2], russian: m[3]}
	}
	return all
})

// language is a language of the pages.
type language string

const (
	english language = "en"
	russian language = "ru"
)

// languageOf is the language that a request chooses, else the first of its browser.
func languageOf(r *http.Request) language {
	chosen := r.URL.Query().Get("lang")
	if chosen == "" {
		chosen = r.Header.Get("Accept-Language")
	}
	if strings.HasPrefix(strings.ToLower(chosen), string(russian)) {
		return russian
	}
	return english
}

// Language is the code of the language.
func (l language) Language() string { return string(l) }

// Other is the code of the language to switch to.
func (l language) Other() string {
	if l == russian {
		return string(english)
	}
	return string(russian)
}

// OtherName is the name of the language to switch to, in itself.
func (l language) OtherName() string {
	if l == russian {
		return "English"
	}
	return "Русский"
}

// T is a text of the pages.
func (l language) T(key string) string { return texts()[key][l] }

// duration is short: two units at most, as in i18n.js.
func (l language) duration(d time.Duration) string {
	unit := func(n int64, key string) string { return fmt.Sprintf("%d %s", n, l.T("unit."+key)) }
	switch s := int64(max(d, 0).Round(time.Second) / time.Second); {
	case s < 60:
		return unit(s, "s")
	case s < 600 && s%60 > 0:
		return unit(s/60, "min") + " " + unit(s%60, "s")
	case s < 3600:
		return unit(s/60, "min")
	case s < 86400:
		return unit(s/3600, "h") + " " + unit(s%3600/60, "min")
	default:
		return unit(s/86400, "d") + " " + unit(s%86400/3600, "h")
	}
}
