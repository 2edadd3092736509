// The pieces that pages are made of.
import { html, useEffect, useLayoutEffect, useRef, useState, useId } from './view.js'
import { t, word, duration, dateTime, day } from './i18n.js'
import { ApiError } from './api.js'
import { session, mayOperate, eventsAlone, toast, useNow, useStore, toasts } from './state.js'
import { connection, outages } from './live.js'

const shapes = {
  board: 'M4 5h4v14H4zM10 5h4v9h-4zM16 5h4v6h-4z',
  courier: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM4.5 20a7.5 7.5 0 0 1 15 0',
  statistics: 'M4 20V10M10 20V4M16 20v-7M3 20h18',
  events: 'M4 6h16M4 12h10M4 18h13M18 10l2.5 2-2.5 2',
  dead: 'M4 7h16v12H4zM4 7l3-3h10l3 3M9.5 11l5 5M14.5 11l-5 5',
  health: 'M3 12h4l2.5-6 4 12 2.5-6H21',
  playground: 'M9 3h6M10 3v6l-5.5 9.5A1.7 1.7 0 0 0 6 21h12a1.7 1.7 0 0 0 1.5-2.5L14 9V3M7.5 15h9',
  waiting: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 7v5l3.5 2',
  assigned: 'M3 8.5 12 4l9 4.5v8L12 21l-9-4.5zM3 8.5l9 4.5 9-4.5M12 13v8',
  held: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM10 9v6M14 9v6',
  completed: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM8 12.2l2.8 2.8L16 9.5',
  cancelled: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM9 9l6 6M15 9l-6 6',
  seen: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM9.5 9.5a2.5 2.5 0 1 1 3.5 2.3c-.7.4-1 .9-1 1.7M12 16.5v.1',
  available: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM8 12.2l2.8 2.8L16 9.5',
  busy: 'M3 8.5 12 4l9 4.5v8L12 21l-9-4.5zM3 8.5l9 4.5 9-4.5M12 13v8',
  paused: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM10 9v6M14 9v6',
  overdue: 'M12 4 2.8 20h18.4zM12 10v4.5M12 17.3v.1',
  missing: 'M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13ZM15.5 15.5 20 20M8.5 8.5l4 4M12.5 8.5l-4 4',
  recheck: 'M20 5v5h-5M4 19v-5h5M5.5 9A7.5 7.5 0 0 1 19 8.5L20 10M18.5 15A7.5 7.5 0 0 1 5 15.5L4 14',
  on_foot: 'M13 4.5v.1M9 21l2.5-6M16 21l-2-5-3-2.5.8-4.5M7.5 12l1-3 3.5-1 2.5 3 2.5.8',
  scooter: 'M6.5 19a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM17.5 19a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM9 16.5h6L17 8h-3M16.2 11H20',
  car: 'M4 16v-3l2-5h12l2 5v3zM4 13h16M7 18.500v-2.500M17 18.500v-2.500',
  search: 'M10.500 17a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13ZM15.500 15.500 20 20',
  close: 'M6 6l12 12M18 6 6 18', menu: 'M4 7h16M4 12h16M4 17h16', plus: 'M12 5v14M5 12h14', check: 'M5 12.500l4.500 4.500L19 7.500',
  sun: 'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM12 3v2M12 19v2M3 12h2M19 12h2M5.600 5.600 7 7M17 17l1.400 1.400M5.600 18.400 7 17M17 7l1.400-1.400',
  key: 'M8 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM12 12h9M18 12v3', out: 'M14 4h5v16h-5M4 12h10M10.500 8.500 14 12l-3.500 3.500', copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  release: 'M12 19V6M6.500 11.500 12 6l5.500 5.500', unassign: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM4.500 20a7.500 7.500 0 0 1 9-7.300M16 18h6',
  left: 'M15 5l-7 7 7 7', download: 'M12 4v11M7 11l5 5 5-5M5 20h14', play: 'M8 5l11 7-11 7z', pause: 'M8 5v14M16 5v14', bell: 'M12 4a5 5 0 0 0-5 5c0 5-2 6-2 7h14c0-1-2-2-2-7a5 5 0 0 0-5-5ZM10 19.500h4',
}

// Icon repeats what the text beside it says, so that it is hidden from screen readers.
export const Icon = ({ name, size = 18 }) => html`<svg class="icon" width=${size} height=${size} viewBox="0 0 24 24" aria-hidden="true"><path d=${shapes[name] ?? shapes.seen} /></svg>`

export const State = ({ state }) => html`<span class="state state-${state}"><${Icon} name=${state} size=${15} />${word('state.', state)}</span>`

export const Badge = ({ kind, icon, title, children }) => html`<span class="badge badge-${kind}" title=${title}>${icon && html`<${Icon} name=${icon} size=${13} />`}${children}</span>`

// refusal explains why no command is allowed now, or is null. One that publishes a record is allowed
// at the address of the events page, too.
function refusal(publishes) {
  if (eventsAlone && !publishes) return t('refused.events')
  if (!mayOperate()) return t('refused.read')
  if (connection.value.status === 'stale') return t('refused.stale')
  return null
}

export function useRefusal(publishes) {
  useStore(session)
  useStore(connection)
  return refusal(publishes)
}

// useCommand starts a command on an event, unless it is not allowed or runs already.
function useCommand(run, { disabled, publishes }) {
  const why = useRefusal(publishes)
  const [busy, setBusy] = useState(false)
  const alive = useRef(true)
  useEffect(() => () => { alive.current = false }, [])
  const start = async e => {
    e.preventDefault()
    e.stopPropagation()
    if (refusal(publishes) || busy || disabled) return
    setBusy(true)
    try { await run(e) } finally { if (alive.current) setBusy(false) }
  }
  return { start, busy, why, off: Boolean(why || busy || disabled) }
}

// Action is a button of a command: disabled with the reason when it is not allowed now.
export function Action({ icon, onClick, children, primary, danger, small, label, disabled, publishes, class: look, ...rest }) {
  const { start, busy, why, off } = useCommand(onClick, { disabled, publishes })
  return html`<button type="button" class=${look ?? `button ${primary ? 'primary' : ''} ${danger ? 'danger' : ''} ${small ? 'small' : ''} ${children ? '' : 'square'}`} ...${rest}
    aria-disabled=${off} aria-busy=${busy} aria-label=${label} title=${why ?? label} onClick=${start}>${icon && html`<${Icon} name=${icon} size=${small ? 15 : 17} />`}${children}</button>`
}

// Form is the form of a command, with the error of the last attempt. Like an Action it sends
// nothing, also not by Enter, while the command is not allowed.
export function Form({ onSubmit, submit, onClose, dismiss = t('cancel'), publishes, children }) {
  const [error, setError] = useState('')
  const { start, busy, why, off } = useCommand(async e => {
    setError('')
    try { await onSubmit(e.target) } catch (err) { setError(message(err)) }
  }, { publishes })
  return html`<form onSubmit=${start}>${children}${error && html`<p class="bad" role="alert">${error}</p>`}
    <footer>${onClose && html`<button type="button" class="button" onClick=${onClose}>${dismiss}</button>`}<button class="button primary" aria-disabled=${off} aria-busy=${busy} title=${why}>${submit}</button></footer></form>`
}

// Connection says that the connection is lost, since when, and that no command is allowed.
export function Connection() {
  const c = useStore(connection)
  useNow()
  if (c.status === 'stale') return html`<p class="note warn conn" role="status" data-conn="stale"><${Icon} name="overdue" /> <span>${t('conn.stale', { time: duration((Date.now() - c.since) / 1000) })}${c.error && html` ${message(c.error)}. <${Cause} of=${c.error} />`}</span></p>`
  return null
}

// Outage says that no new order is processed, and why: the rest of the page is up to date.
export function Outage() {
  const all = useStore(outages)
  const { status } = useStore(connection)
  if (!all.length || status !== 'live') return null
  const why = c => c.detail.replace('not joined: ', '').replace('; ' + c.fix, '') // the fix is on the page Health
  return html`<p class="note warn outage" role="status"><${Icon} name="overdue" /> <span>${t('outage', { why: all.map(why).join('; ') })} <a class="link" href="/ui/health">${t('nav.health')}</a></span></p>`
}

export const message = e => {
  if (!(e instanceof ApiError)) return e?.message ?? String(e)
  const own = t('error.' + e.code)
  const fields = e.fields.map(f => [f.location?.replace(/^(body|query|path)\./, ''), f.message].filter(Boolean).join(': ')).join('; ')
  return (own === 'error.' + e.code ? e.message : own) + (fields ? ` (${fields})` : '')
}

// attempt runs a command and reports its result; done is the text, or makes it of the answer.
export async function attempt(run, done) {
  try {
    const result = await run()
    if (done) toast(typeof done === 'function' ? done(result) : done)
    return result ?? true
  } catch (e) {
    toast(message(e), 'failed')
    return false
  }
}

// Dialog is modal; Escape and the button close it.
export function Dialog({ title, onClose, children, wide }) {
  const ref = useRef()
  const id = useId()
  useLayoutEffect(() => {
    const before = document.activeElement
    ref.current.showModal()
    ref.current.querySelector('[data-first]')?.focus()
    return () => before?.isConnected && before.focus?.()
  }, [])
  return html`<dialog ref=${ref} class=${wide ? 'wide' : ''} aria-labelledby=${id} onCancel=${e => { e.preventDefault(); onClose() }}
    onClick=${e => e.target === ref.current && onClose()}>
    <div class="dialog"><header><h2 id=${id}>${title}</h2><button type="button" class="button square quiet" aria-label=${t('close')} onClick=${onClose}><${Icon} name="close" /></button></header><${Connection} />${children}</div></dialog>`
}

export function Toasts() {
  const all = useStore(toasts)
  return html`<div class="toasts" role="status" aria-live="polite">${all.map(x => html`<div key=${x.id} class="toast ${x.kind}"><${Icon} name=${x.kind === 'done' ? 'check' : 'overdue'} /><span>${x.text}</span></div>`)}</div>`
}

export const Empty = ({ icon = 'check', title, children }) => html`<div class="empty"><${Icon} name=${icon} size=${28} /><p>${title}</p>${children}</div>`
export const Loading = ({ rows = 3 }) => html`<div class="loading" role="status" aria-label=${t('loading')}>${Array.from({ length: rows }, () => html`<div class="bone" />`)}</div>`

// Cause links to what explains an error: that a dependency is unavailable is explained by Health.
export function Cause({ of, look = 'link' }) {
  const page = /_unavailable$/.test(of.code) ? '/ui/health' : of.page
  return page && page !== location.pathname && html`<a class=${look} href=${page}>${t('failed.why')}</a>`
}

export function Failure({ error, retry }) {
  const forbidden = error?.code === 'forbidden'
  return html`<div class="empty failure" role="alert"><${Icon} name=${forbidden ? 'key' : 'overdue'} size=${28} /><p>${forbidden ? t('error.forbidden') : t('failed.load')}</p>
    <p class="muted">${message(error)}</p>${error && html`<${Cause} of=${error} look="button" />`}${retry && html`<button type="button" class="button" onClick=${retry}>${t('retry')}</button>`}</div>`
}

// Loaded shows one of the states of a view: loading, failed, or its content, with a note
// when the content is no longer fresh.
export function Loaded({ of, children, rows }) {
  if (of.data === undefined) return of.error ? html`<${Failure} error=${of.error} retry=${of.reload} />` : html`<${Loading} rows=${rows} />`
  return html`${of.error && html`<p class="note warn" role="status"><${Icon} name="overdue" /> <span>${t('stale.data', { at: dateTime(of.at) })} ${message(of.error)}. <${Cause} of=${of.error} /></span></p>`}${children(of.data)}`
}

// Ago is the time since then, which keeps counting.
export function Ago({ at }) {
  const now = useNow()
  return html`<time datetime=${at} title=${dateTime(at)}>${duration((now - Date.parse(at)) / 1000)}</time>`
}

// Left is the time to a deadline, or how long it has passed.
export function Left({ deadline }) {
  const now = useNow()
  const s = (Date.parse(deadline) - now) / 1000
  return html`<time datetime=${deadline} title=${dateTime(deadline)}>${s >= 0 ? t('left', { time: duration(s) }) : t('over', { time: duration(-s) })}</time>`
}

// OrderID shortens long ids in the middle; the whole id is its title and is copied.
export const OrderID = ({ id, link = true }) => {
  const text = id.length > 20 ? id.slice(0, 8) + '…' + id.slice(-4) : id
  return link ? html`<a class="id" href=${'/ui/orders/' + encodeURIComponent(id)} title=${id}>${text}</a>` : html`<span class="id" title=${id}>${text}</span>`
}

export async function copy(text) {
  try { await navigator.clipboard.writeText(text); toast(t('copied')) } catch { toast(t('copy.failed'), 'failed') }
}

export const PageHead = ({ title, lead, children }) => html`<div class="page-head"><div><h1>${title}</h1>${lead && html`<p class="muted">${lead}</p>`}</div><div class="page-tools">${children}</div></div>`

export const Field = ({ label, hint, error, children }) => html`<label class="field"><span>${label}</span>${children}${hint && html`<small class="muted">${hint}</small>`}${error && html`<small class="bad">${error}</small>`}</label>`

let loadingUPlot
const uPlotReady = () => loadingUPlot ??= new Promise((done, failed) => {
  const css = document.createElement('link')
  css.rel = 'stylesheet'
  css.href = '/ui/assets/lib/uPlot.css'
  const script = document.createElement('script')
  script.src = '/ui/assets/lib/uPlot.js'
  script.onload = () => done(globalThis.uPlot)
  script.onerror = failed
  document.head.append(css, script)
})

const colour = name => {
  const probe = document.createElement('span')
  probe.className = 'probe probe-' + name
  document.body.append(probe)
  const value = getComputedStyle(probe).color
  probe.remove()
  return value
}

const isoDay = s => new Date(s * 1000).toISOString().slice(0, 10)

// Chart draws series over time. data: [seconds, values, …]; series: [{label, colour, value}];
// span: how many seconds it shows, to the last one.
export function Chart({ title, data, series, height = 180, bars, by, span }) {
  const box = useRef()
  const chart = useRef()
  const [failed, setFailed] = useState(false)
  useEffect(() => {
    let gone = false
    uPlotReady().then(uPlot => {
      if (gone || !box.current) return
      const axis = { stroke: colour('muted'), grid: { stroke: colour('line'), width: 1 }, ticks: { show: false }, font: '12px system-ui' }
      chart.current = new uPlot({
        width: box.current.clientWidth, height, cursor: { y: false }, legend: { live: true },
        tzDate: s => by === 'day' ? uPlot.tzDate(new Date(s * 1000), 'Etc/UTC') : new Date(s * 1000), scales: { x: { time: true, ...(by === 'day' ? { range: (_, low, high) => [low - 43200, high + 43200] } : span ? { range: (_, low, high) => [high - span, high] } : {}) }, y: { range: (_, low, high) => [0, Math.max(1e-9, high || 1) * 1.1] } },
        axes: [by === 'day' ? { ...axis, incrs: [86400, 2 * 86400, 7 * 86400, 14 * 86400, 28 * 86400], space: 60, values: (_, all) => all.map(s => day(isoDay(s))) } : { ...axis, values: (_, all) => all.map(s => new Date(s * 1000).toTimeString().slice(0, 5)) }, { ...axis, size: 56 }],
        series: [{ label: t(by === 'day' ? 'day' : 'time'), value: (_, s) => s == null ? '–' : by === 'day' ? day(isoDay(s)) : new Date(s * 1000).toTimeString().slice(0, 8) }, ...series.map(s => ({
          label: s.label, stroke: colour(s.colour), width: 2, points: { show: by === 'day' && !bars }, value: (_, v) => v == null ? '–' : (s.value ?? String)(v),
          ...(bars ? { fill: colour(s.colour), paths: uPlot.paths.bars({ size: [0.6, 40], radius: 0.2 }), width: 0 } : {}),
        }))],
      }, data, box.current)
    }).catch(() => setFailed(true))
    const resize = new ResizeObserver(() => chart.current?.setSize({ width: box.current.clientWidth, height }))
    resize.observe(box.current)
    return () => { gone = true; resize.disconnect(); chart.current?.destroy() }
  }, [series.map(s => s.label).join()])
  useEffect(() => { chart.current?.setData(data) }, [data])
  return html`<figure class="chart"><figcaption>${title}</figcaption><div ref=${box} class="plot" role="img" aria-label=${title} />${failed && html`<p class="muted">${t('failed.load')}</p>`}</figure>`
}
