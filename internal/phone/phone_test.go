package phone_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"service-courier/internal/phone"
)

func reader(t testing.TB, region string) phone.Reader {
	t.Helper()
	r, err := phone.NewReader(region)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestSpellingsOfOneNumber: each spelling gives the same number, and so the same courier.
func TestSpellingsOfOneNumber(t *testing.T) {
	t.Parallel()
	r := reader(t, phone.DefaultRegion)
	for _, spelling := range []string{
		"+79000000001", "89000000001", "79000000001", "9000000001", "810 7 900 000 00 01",
		"8 (900) 000-00-01", "+7.900.000.00.01", "(+7) [900] 000/00/01", "8‒900–000—00−01", "+7 8 900 000 00 01",
		"  +79000000001\t", "+7\u00a0900\u2009000\u202f00\u300001",
		"\u200f+7900\u200b0000001\u200e", "\u202a+79000000001\u202c", "\u2066+79000000001\u2069", "\ufeff+79000000001",
		"８９００００００００１", "＋７（９００）０００－００－０１", "+٧٩٠٠٠٠٠٠٠٠١", "+७९००००००००१", "+𝟟𝟗𝟬𝟘𝟎𝟶𝟢𝟎𝟎𝟎𝟏",
	} {
		if got, err := r.Normalize(spelling); got != "+79000000001" || err != nil {
			t.Errorf("Normalize(%q) = %q, %v", spelling, got, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ region, text, want string }{
		{"RU", "", "no digits"},
		{"RU", " +- ()", "no digits"},
		{"RU", "not a phone", "letters"},
		{"RU", "1-800-FLOWERS", "letters"},
		{"RU", "+7900OOOOOO1", "letters"},
		{"RU", "+79000000001 доб. 12", "letters"},
		{"RU", "+79000000001x12", "letters"},
		{"RU", "tel:+79000000001", "letters"},
		{"RU", "+79000000001;12", "extension"},
		{"RU", "+79000000001#12", "extension"},
		{"RU", "+79000000001,,12", "extension"},
		{"RU", "+7900~0000001", "characters"},
		{"RU", "+7900\x00000001", "characters"},
		{"RU", "²³⁴⁵⁶⁷⁸⁹¹⁰¹", "characters"},
		{"RU", "+79000000001 +79000000002", "not at its start"},
		{"RU", "++79000000001", "not at its start"},
		{"RU", "7+9000000001", "not at its start"},
		{"RU", "+7", "too few"},
		{"RU", "+7999", "too few"},
		{"RU", "112", "too few"},
		{"RU", "+7900000000", "too few"},
		{"RU", "+790000000012", "no number of its country"},
		{"RU", "8 8 900 000 00 01", "no number of its country"},
		{"RU", "+7 900 000 00 01 (12)", "no number of its country"},
		{"RU", strings.Repeat("9", 32), "too many"},
		{"RU", "+8 900 000 00 01", "country code"},
		{"RU", "+0 900 000 00 01", "country code"},
		{"RU", "+95 00000000", "begins with digits"},
		{"US", "555 0100", "area code"},
		{"ZZ", "9000000001", "no country code: write"},
		{"ZZ", "89000000001", "no country code: write"},
	} {
		if got, err := reader(t, tt.region).Normalize(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Normalize(%q) = %q, %v; want %q", tt.region, tt.text, got, err, tt.want)
		}
	}
}

// TestOtherCountries: the default region reads only numbers without country code.
func TestOtherCountries(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ region, text, want string }{
		{"RU", "+375 29 123-45-67", "+375291234567"},
		{"BY", "8 029 123-45-67", "+375291234567"},
		{"KZ", "8 701 123 45 67", "+77011234567"},
		{"DE", "030 123456", "+4930123456"},
		{"RU", "+49 (0)30 123456", "+4930123456"},
		{"IT", "06 1234 5678", "+390612345678"},
		{"US", "(212) 555-0100", "+12125550100"},
		{"ZZ", "+7 900 000 00 01", "+79000000001"},
		{"RU", "+7 000 000 00 01", "+70000000001"}, // given to no one, but possible
	} {
		if got, err := reader(t, tt.region).Normalize(tt.text); got != tt.want || err != nil {
			t.Errorf("%s: Normalize(%q) = %q, %v; want %q", tt.region, tt.text, got, err, tt.want)
		}
	}
}

func TestRegions(t *testing.T) {
	t.Parallel()
	for _, region := range []string{"ru", "7", "+7", "Russia", "001", "XX", "RUS"} {
		if _, err := phone.NewReader(region); err == nil {
			t.Errorf("region %q is accepted", region)
		}
	}
}

// TestNormalizedIsStable: a client may send back the number that it has read, in any
// region; otherwise the same courier would have two numbers.
func TestNormalizedIsStable(t *testing.T) {
	t.Parallel()
	regions := []string{"RU", "US", "DE", "IT", "AR", "MX", "BR", "CI", "ZZ"}
	rapid.Check(t, func(rt *rapid.T) {
		region := rapid.SampledFrom(regions).Draw(rt, "region")
		text := rapid.StringMatching(`\+?[0-9]{5,17}`).Draw(rt, "text")
		got, err := reader(t, region).Normalize(text)
		if err != nil {
			return
		}
		for _, other := range regions {
			if again, err := reader(t, other).Normalize(got); again != got || err != nil {
				rt.Fatalf("%s: Normalize(%q) = %q, which %s reads as %q, %v", region, text, got, other, again, err)
			}
		}
	})
}

func FuzzNormalize(f *testing.F) {
	for _, seed := range []string{"+79000000001", "8 (900) 000-00-01", "tel:+7;ext=3", "\u202a+7", "+", "\xff"} {
		f.Add(seed)
	}
	r := reader(f, phone.DefaultRegion)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := r.Normalize(text)
		if err == nil && (len(got) > 16 || got[0] != '+' || strings.Trim(got[1:], "0123456789") != "" || got[1] == '0') {
			t.Errorf("Normalize(%q) = %q", text, got)
		}
	})
}
