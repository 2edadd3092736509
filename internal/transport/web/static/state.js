// State that several views share: a value that calls its subscribers when it changes.
import { useEffect, useState } from './view.js'

export class Store {
  #value
  #subscribers = new Set()
  constructor(value) { this.#value = value }
  get value() { return this.#value }
  set value(next) {
    if (Object.is(this.#value, next)) return
    this.#value = next
    for (const call of [...this.#subscribers]) call(next)
  }
  update(patch) { this.value = { ...this.#value, ...patch } }
  subscribe(call) { this.#subscribers.add(call); return () => this.#subscribers.delete(call) }
}

// useStore re-renders the view when the store changes.
export function useStore(store) {
  const [value, set] = useState(store.value)
  useEffect(() => { set(store.value); return store.subscribe(set) }, [store])
  return value
}

// session is who uses the page; null while unknown.
export const session = new Store(null)
export const mayOperate = () => session.value?.role === 'operate'

// eventsAlone: this address is for the events page alone, and permits no command but publishing.
export const eventsAlone = 'events' in document.documentElement.dataset

// now is the server's time, once a second. Ages keep counting while the connection is lost.
export const now = new Store(Date.now())
let ahead = 0 // of the server's clock
export const setServerTime = at => { ahead = Date.parse(at) - Date.now() }
export const serverNow = () => Date.now() + ahead
setInterval(() => { now.value = serverNow() }, 1000)
export const useNow = () => useStore(now)
// instant makes times of the API comparable to the microsecond, which Date cuts off. Their fractions
// have no trailing zeros, so that with the Z at its end 12.1 would be after 12.15.
export const instant = at => at?.slice(0, -1)

// route is the path below /ui and the query.
const parse = () => ({ path: location.pathname.replace(/^\/ui/, '') || '/', query: new URLSearchParams(location.search) })
export const route = new Store(parse())
addEventListener('popstate', () => { route.value = parse() })
export function go(href) {
  if (href !== location.pathname + location.search) history.pushState(null, '', href)
  route.value = parse()
  scrollTo(0, 0)
}
// setQuery keeps a view's filters in the address; null removes one.
export function setQuery(values) {
  const query = new URLSearchParams(location.search)
  for (const [name, value] of Object.entries(values)) value ? query.set(name, value) : query.delete(name)
  const text = query.toString()
  history.replaceState(null, '', location.pathname + (text && '?' + text))
  route.value = parse()
}
addEventListener('click', e => {
  const link = e.target.closest?.('a[href^="/ui/"]')
  if (!link || e.defaultPrevented || e.button || e.metaKey || e.ctrlKey || e.shiftKey || link.target || link.hasAttribute('download')) return
  e.preventDefault()
  go(link.getAttribute('href'))
})

// toasts are short reports of what an action did.
export const toasts = new Store([])
let toastID = 0
export function toast(text, kind = 'done') {
  const id = ++toastID
  toasts.value = [...toasts.value.slice(-3), { id, text, kind }]
  setTimeout(() => { toasts.value = toasts.value.filter(x => x.id !== id) }, kind === 'done' ? 5000 : 10_000)
}

// useData loads data when the view appears or deps change, and again every seconds.
// It returns { data, error, loading, reload, at }.
export function useData(load, deps, seconds = 0) {
  const [state, set] = useState({ loading: true })
  const [turn, setTurn] = useState(0)
  useEffect(() => {
    let current = true
    let timer
    const run = async () => {
      try {
        const data = await load()
        if (current) set({ data, at: Date.now() })
      } catch (error) {
        if (current) set(previous => ({ data: previous.data, at: previous.at, error }))
      }
      if (current && seconds) timer = setTimeout(() => document.hidden ? (timer = setTimeout(run, seconds * 1000)) : run(), seconds * 1000)
    }
    set(previous => turn ? previous : { loading: true })
    run()
    return () => { current = false; clearTimeout(timer) }
  }, [...deps, turn])
  return { ...state, reload: () => setTurn(n => n + 1) }
}
