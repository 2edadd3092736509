// Package phone reads phone numbers in any usual spelling. It imports no other package of
// the service.
package phone

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"
)

// DefaultRegion is where the service-order of the course delivers.
const DefaultRegion = "RU"

// NoRegion accepts only numbers with a country code.
const NoRegion = phonenumbers.UNKNOWN_REGION

// maxDigits is the limit of E.164.
const maxDigits = 15

// Reader reads the numbers of a region; the zero Reader reads those of the DefaultRegion.
type Reader struct{ region string }

// NewReader returns a Reader that takes a number without country code for one of region, an
// ISO 3166-1 code such as RU, or NoRegion. "" is the DefaultRegion.
func NewReader(region string) (Reader, error) {
	if region != "" && region != NoRegion && !phonenumbers.GetSupportedRegions()[region] {
		return Reader{}, fmt.Errorf("%q: want a country of two capital letters, such as %s, or %s to refuse numbers without country code",
			region, DefaultRegion, NoRegion)
	}
	return Reader{region}, nil
}

// Normalize returns a number in E.164, such as +79000000001, whatever its separators,
// digits (full width, Arabic) and prefix (+7, 8, 810 7). It refuses letters and
// extensions: E.164 has none, and an O typed for a 0 would become a 6. A number has to be
// possible: its country code exists, and the country has numbers of its length. It may be
// unused. The error does not repeat the number.
func (r Reader) Normalize(text string) (string, error) {
	digits, err := compact(text)
	if err != nil {
		return "", err
	}
	number, err := phonenumbers.Parse(digits, cmp.Or(r.region, DefaultRegion))
	if err != nil {
		return "", r.explain(err, digits)
	}
	e164 := phonenumbers.Format(number, phonenumbers.E164)
	switch result := phonenumbers.IsPossibleNumberWithReason(number); {
	case result == phonenumbers.TOO_SHORT:
		return "", errTooShort
	case result == phonenumbers.TOO_LONG, len(e164) > len("+")+maxDigits:
		return "", errTooLong
	case result == phonenumbers.INVALID_COUNTRY_CODE:
		return "", errCountryCode
	case result == phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
		return "", errors.New("phone has no area code")
	case result != phonenumbers.IS_POSSIBLE:
		return "", errors.New("phone has a length that no number of its country has")
	}
	// Reading the result again must give the same number: "+95 00…" would lose a 0.
	if again, err := phonenumbers.Parse(e164, NoRegion); err != nil || phonenumbers.Format(again, phonenumbers.E164) != e164 {
		return "", errors.New("phone begins with digits that no number of its country begins with")
	}
	return e164, nil
}

var (
	errTooShort    = errors.New("phone has too few digits")
	errTooLong     = errors.New("phone has too many digits")
	errCountryCode = errors.New("phone has a country code that does not exist")
)

// explain returns the reason why digits cannot be parsed.
func (r Reader) explain(err error, digits string) error {
	switch {
	case errors.Is(err, phonenumbers.ErrNumTooLong):
		return errTooLong
	case !errors.Is(err, phonenumbers.ErrInvalidCountryCode):
		return errTooShort
	case digits[0] != '+' && r.region == NoRegion:
		return errors.New("phone has no country code: write it as +79000000001")
	}
	return errCountryCode
}

// compact returns the digits of text and the + before them. It removes separators and
// invisible characters, such as the marks of right-to-left text that come with copying.
func compact(text string) (string, error) {
	var b strings.Builder
	for _, r := range text {
		switch {
		case unicode.IsDigit(r):
			b.WriteByte(byte('0' + digit(r)))
		case r == '+', r == '＋':
			if b.Len() > 0 {
				return "", errors.New("phone has a + that is not at its start")
			}
			b.WriteByte('+')
		case unicode.IsLetter(r):
			return "", errors.New("phone has letters: want digits only, without an extension")
		case !isSeparator(r):
			return "", errors.New("phone has characters other than digits, spaces, +, -, ., / and brackets; an extension is not possible")
		}
	}
	if strings.Trim(b.String(), "+") == "" {
		return "", errors.New("phone has no digits")
	}
	return b.String(), nil
}

// digit returns the value of a digit of any script: Unicode has them in runs of ten.
func digit(r rune) int {
	n := 0
	for ; unicode.IsDigit(r - 1); r-- {
		n++
	}
	return n % 10
}

func isSeparator(r rune) bool {
	return unicode.IsSpace(r) || unicode.In(r, unicode.Pd, unicode.Cf) || strings.ContainsRune("()[]./−·（）．／", r)
}
