package web

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"service-courier/internal/dev/citest"
)

// press presses a button by keyboard.
func (t *tab) press(selector string) {
	t.Helper()
	t.focus(selector)
	t.keys("Enter")
}

// reports waits until a toast says a text.
func (t *tab) reports(text string) {
	t.Helper()
	t.sees(fmt.Sprintf(`[...document.querySelectorAll('.toast')].some(x => x.textContent === %q)`, text))
}

// dialogSays waits until a dialog has a text, or has it not.
func (t *tab) dialogSays(text string, is bool) {
	t.Helper()
	t.sees(fmt.Sprintf(`document.querySelector('dialog[open]')?.textContent.includes(%q) === %t`, text, is))
}

// TestPauseOfABusyCourier: the page says what the courier is after a pause and a resume, and
// what an unassign would make of them.
func TestPauseOfABusyCourier(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	boris := w.courier("Boris", "car")
	id := w.order()
	b := w.open("/ui/")
	b.card(id, "assigned")
	b.press(".column-assigned .actions button:last-child")
	b.dialogSays("The courier becomes available.", true)
	b.press("dialog header button")
	b.sees(`!document.querySelector('dialog')`)
	button := fmt.Sprintf(`[data-courier="%d"] button`, boris)
	b.press(button + `[aria-label="Pause Boris"]`)
	b.reports("Boris pauses after this delivery")
	b.press(".column-assigned .actions button:last-child")
	b.dialogSays("The courier is paused then.", true)
	b.dialogSays("available", false)
	b.press("dialog header button")
	b.sees(`!document.querySelector('dialog')`)
	b.press(button + `[aria-label="Resume Boris"]`)
	b.reports("Boris is busy, and available when the delivery ends")
	b.sees(fmt.Sprintf(`document.querySelector('[data-courier="%d"][data-status=busy]')`, boris))

	b.press(button + `[aria-label="Pause Boris"]`)
	b.do(chromedp.Navigate(fmt.Sprintf("http://%s/ui/couriers/%d", w.cfg.HTTPAddr, boris)))
	b.sees(`document.querySelector('.page-tools')?.textContent.includes('Resume')`)
	b.press(".page-tools button")
	b.reports("Boris is busy, and available when the delivery ends")
}

// TestRecheckSaysItsResult: what service-order answered, and what the order is now.
func TestRecheckSaysItsResult(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	b := w.open("/ui/")
	recheck := func(id string) {
		t.Helper()
		b.press(fmt.Sprintf(`[data-order="%s"] [aria-label="Recheck with service-order"]`, id))
	}
	w.courier("Anna", "car")
	assigned := w.order()
	b.card(assigned, "assigned")
	id := w.order()
	b.card(id, "waiting")
	recheck(assigned)
	b.reports("Order is assigned to Anna; service-order has it")
	recheck(id)
	b.reports("Order is in the waiting queue; service-order has it")
	w.must(w.sim.Forget())
	recheck(id)
	b.reports("Order is in the waiting queue; service-order answers 404")

	// The order is missing, and has no courier.
	b.press(fmt.Sprintf(`[data-order="%s"] [aria-label="Cancel the order"]`, id))
	b.dialogSays("stays cancelled", true)
	b.dialogSays("courier", false)
	b.press("dialog header button")
	b.sees(`!document.querySelector('dialog')`)
	recheck(assigned)
	b.reports("Order is assigned to Anna; service-order answers 404")
	b.press(fmt.Sprintf(`[data-order="%s"] [aria-label="Cancel the order"]`, assigned))
	b.dialogSays("The courier becomes available.", true)
}

// TestAssignWithoutAFreeCourier promises a waiting order its turn, not the next courier.
func TestAssignWithoutAFreeCourier(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	first := w.order()
	b := w.open("/ui/")
	b.card(first, "waiting")
	second := w.order()
	b.card(second, "waiting")
	b.focus(fmt.Sprintf(`[data-order="%s"]`, second))
	b.keys("a")
	b.dialogSays("The order stays in the queue and gets a courier in its turn.", true)
}

// TestSearchFindsCouriers by name, and by the order that they have.
func TestSearchFindsCouriers(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	w.courier("Anna", "car")
	id := w.order()
	b := w.open("/ui/")
	b.card(id, "assigned")
	w.courier("Boris", "car")
	shows := func(search, count, names string) {
		t.Helper()
		b.do(chromedp.Navigate("http://" + w.cfg.HTTPAddr + "/ui/?q=" + search))
		b.sees(fmt.Sprintf(`document.querySelector('.column-couriers .count').textContent === %q && [...document.querySelectorAll('.person .who > a')].map(a => a.textContent).join() === %q`, count, names))
	}
	shows("", "2", "Boris,Anna")
	shows("bor", "1 of 2", "Boris")
	shows(id, "1 of 2", "Anna")
	shows("nothing", "0 of 2", "")
	b.sees(`document.querySelector('.column-couriers .empty').textContent === 'Nothing matches'`)
}

// TestMenuOfAPhone: Escape closes it.
func TestMenuOfAPhone(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	b := w.open("/ui/")
	b.do(chromedp.EmulateViewport(390, 844))
	b.sees(`document.querySelector('.columns')`)
	b.press(".bar button")
	b.sees(`document.querySelector('.frame.open .side')`)
	b.keys("Escape")
	b.sees(`!document.querySelector('.frame.open') && document.activeElement === document.querySelector('.bar button')`)
}

// TestCouriersOfAPhone: the order of a courier is on the screen without scrolling.
func TestCouriersOfAPhone(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	w.courier("Anna Petrova", "scooter")
	id := w.order()
	w.eventually("the order is assigned", func() bool { return w.dbState(id) == "assigned" })
	b := w.open("/ui/couriers")
	b.do(chromedp.EmulateViewport(390, 844))
	b.sees(`document.querySelector('td .id')`)
	b.sees(`document.querySelector('td .id').getBoundingClientRect().right <= document.querySelector('td button').getBoundingClientRect().left`)
}
