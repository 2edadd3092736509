import { html, useEffect, useMemo, useRef, useState } from '../view.js'
import { t, word, number, duration, dateTime } from '../i18n.js'
import { ApiError, get, post } from '../api.js'
import { useStore, useNow, setQuery, route, toast, session, instant } from '../state.js'
import { board, connection, follow, command, take, takeCourier, refetch, note } from '../live.js'
import { Icon, Badge, Action, Dialog, Form, Empty, Loading, Failure, Ago, Left, OrderID, attempt, message, useRefusal, State } from '../ui.js'

const step = 100 // cards that a column shows at first, and by which it shows more
const most = 500 // cards that it shows at a time

const order = {
  waiting: (a, b) => (a.position ?? Infinity) - (b.position ?? Infinity) || (instant(a.since) < instant(b.since) ? -1 : 1),
  assigned: (a, b) => (instant(a.deadline) ?? '') < (instant(b.deadline) ?? '') ? -1 : 1,
  held: (a, b) => instant(a.at) < instant(b.at) ? -1 : 1,
}

// run executes a command on an order. After a conflict the card shows what happened.
export async function run(id, verb, body, done) {
  try {
    const o = await command(id, verb, body)
    take(o)
    verb === 'recheck' ? reportRecheck(o) : toast(done)
    return true
  } catch (e) {
    toast(message(e), 'failed')
    if (e.status === 409 || e.status === 404) {
      await refetch(id)
      note(id, message(e))
    }
    return false
  }
}

// recheck fetches an order from service-order now.
export const recheck = id => run(id, 'recheck')

// reportRecheck says what the order is now, and whether service-order has it.
function reportRecheck(o) {
  const d = o.delivery
  const now = t('now.' + o.state, { name: d?.courier_name ?? t('courier.n', { id: d?.courier_id }) })
  toast(`${now}; ${t('fetched.' + o.service_order)}`, o.service_order === 'found' ? 'done' : 'failed')
}

export function useBoard() {
  useEffect(follow, [])
  return useStore(board)
}

export default function Board() {
  const b = useBoard()
  const conn = useStore(connection)
  const { query } = useStore(route)
  const text = query.get('q') ?? ''
  const only = query.get('show') ?? ''
  const tab = query.get('column') ?? 'waiting'
  const [dialog, setDialog] = useState(null)
  const tick = Math.floor(useNow() / 5000) // overdue cards move to the front within seconds

  const columns = useMemo(() => {
    const now = tick * 5000
    const all = { waiting: [], assigned: [], held: [] }
    let missing = 0
    let overdue = 0
    for (const o of b.orders.values()) {
      const isOverdue = o.state === 'assigned' && Date.parse(o.deadline) < now
      missing += o.missing ? 1 : 0
      overdue += isOverdue ? 1 : 0
      if (only === 'missing' && !o.missing || only === 'overdue' && !isOverdue) continue
      if (text && !matches(o, text, b.couriers)) continue
      all[o.state].push(o)
    }
    for (const state in all) all[state].sort(order[state])
    return { all, missing, overdue }
  }, [b.orders, b.couriers, text, only, tick])

  const couriers = useMemo(() => b.couriers && [...b.couriers.values()], [b.couriers])
  const totals = useMemo(() => {
    const n = { waiting: b.hidden.waiting, assigned: b.hidden.assigned, held: b.hidden.held, ...couriers && { available: 0, busy: 0, paused: 0 } }
    for (const o of b.orders.values()) n[o.state]++
    for (const c of couriers ?? []) n[c.status]++
    return n
  }, [b.orders, b.hidden, couriers])

  if (!b.ready) {
    return html`<section class="board-page"><h1 class="sr">${t('nav.board')}</h1>${conn.status === 'stale'
      ? html`<div class="panel"><${Failure} error=${conn.error ?? new ApiError({ code: 'network' }, 0)} /></div>` : html`<${Loading} rows=${4} />`}</section>`
  }
  const close = () => setDialog(null)
  const now = dialog && stateNow(b, dialog.order)
  return html`<section class="board-page is-${conn.status}">
    <h1 class="sr">${t('nav.board')}</h1>
    <div class="totals" role="status" aria-live="polite" aria-atomic="false">
      <${Total} kind="waiting" n=${totals.waiting} /><${Total} kind="assigned" n=${totals.assigned} />
      <${Total} kind="overdue" n=${columns.overdue} alarm=${columns.overdue > 0} /><${Total} kind="held" n=${totals.held} />
      <${Total} kind="missing" n=${columns.missing} alarm=${columns.missing > 0} />
      <${Total} kind="available" n=${totals.available} /><${Total} kind="busy" n=${totals.busy} /><${Total} kind="paused" n=${totals.paused} />
    </div>
    <div class="toolbar">
      <${Search} value=${text} />
      <div class="chips" role="group" aria-label=${t('filter')}>
        ${[['', 'filter.all'], ['overdue', 'filter.overdue'], ['missing', 'filter.missing']].map(([value, label]) => html`
          <button type="button" class="chip" aria-pressed=${only === value} onClick=${() => setQuery({ show: value })}>${value && html`<${Icon} name=${value} size=${14} />`}${t(label)}</button>`)}
      </div>
    </div>
    <div class="tabs" role="group" aria-label=${t('columns')}>
      ${['waiting', 'assigned', 'held', 'couriers'].map(c => html`<button type="button" class="tab" aria-pressed=${tab === c} onClick=${() => setQuery({ column: c })}>${t('column.' + c)}</button>`)}
    </div>
    <div class="columns" data-tab=${tab}>
      ${['waiting', 'assigned', 'held'].map(state => html`<${Column} key=${state} state=${state} orders=${columns.all[state]} hidden=${b.hidden[state]} total=${totals[state]}
        couriers=${b.couriers} loading=${!b.couriers && !b.couriersError} filtered=${Boolean(text || only)} stale=${conn.status === 'stale'} open=${setDialog} />`)}
      <${Couriers} all=${couriers} text=${text} error=${b.couriersError} />
    </div>
    <${Ended} orders=${b.ended} read=${b.endedRead} stale=${conn.status === 'stale'} couriers=${b.couriers} />
    ${dialog?.kind === 'assign' && html`<${Assign} order=${dialog.order} now=${now} onClose=${close} couriers=${couriers} />`}
    ${(dialog?.kind === 'unassign' || dialog?.kind === 'cancel') && html`<${Reason} id=${dialog.order.id} verb=${dialog.kind} now=${now} courier=${b.couriers?.get((b.orders.get(dialog.order.id) ?? dialog.order).courier)} onClose=${close} />`}
  </section>`
}

const has = (value, text) => (value ?? '').toLowerCase().includes(text.trim().toLowerCase())
const matches = (o, text, couriers) => has(o.id, text) || has(couriers?.get(o.courier)?.name ?? o.courierName, text)

const Total = ({ kind, n, alarm }) => html`<div class="total total-${kind} ${alarm ? 'alarm' : ''}"><${Icon} name=${kind} size=${16} /><b>${n == null ? '–' : number(n)}</b><span>${t('total.' + kind)}</span></div>`

// Search filters the cards; Enter opens the order with exactly this id.
function Search({ value }) {
  const [draft, setDraft] = useState(value)
  const submit = async e => {
    e.preventDefault()
    const id = draft.trim()
    if (!id) return
    try {
      const { items } = { items: [await get('/api/v1/orders/' + encodeURIComponent(id))] }
      if (items[0]) { history.pushState(null, '', '/ui/orders/' + encodeURIComponent(id)); dispatchEvent(new PopStateEvent('popstate')) }
    } catch (err) { toast(err.status === 404 || err.status === 422 ? t('search.none') : message(err), 'failed') }
  }
  return html`<form class="search" role="search" onSubmit=${submit}><${Icon} name="search" /><input id="search" type="search" value=${draft} placeholder=${t('search.order')} aria-label=${t('search.order')}
    autocomplete="off" spellcheck="false" maxlength="64" onInput=${e => { setDraft(e.target.value); setQuery({ q: e.target.value }) }} /><kbd aria-hidden="true">/</kbd></form>`
}

function Column({ state, orders, hidden, total, couriers, loading, stale, filtered, open }) {
  const [end, setEnd] = useState(step)
  const last = Math.min(end, orders.length)
  const first = Math.max(0, last - most)
  const rest = orders.length - last
  return html`<section class="column column-${state}" aria-labelledby=${'col-' + state}>
    <header><h2 id=${'col-' + state}><${Icon} name=${state} />${t('column.' + state)}</h2><span class="count">${filtered ? t('some.of', { some: number(orders.length), all: number(total) }) : number(total)}</span></header>
    <div class="cards">
      ${first > 0 && html`<button type="button" class="button more before" onClick=${() => setEnd(Math.max(most, last - step))}>${t('show.before', { n: Math.min(step, first), all: number(first) })}</button>`}
      ${orders.slice(first, last).map((o, i) => html`<${Card} key=${o.id} o=${o} place=${state === 'waiting' && !filtered ? first + i + 1 : 0} courier=${couriers?.get(o.courier)} loading=${loading} open=${open} />`)}
      ${orders.length === 0 && html`<${Empty} icon=${filtered ? 'search' : state === 'held' ? 'check' : state} title=${t(filtered ? 'empty.filtered' : stale ? 'empty.stale' : 'empty.' + state)} />`}
      ${rest > 0 && html`<button type="button" class="button more after" onClick=${() => setEnd(last + step)}>${t('show.more', { n: Math.min(step, rest), all: number(rest + hidden) })}</button>`}
      ${rest <= 0 && hidden > 0 && html`<p class="muted more">${t('hidden', { n: hidden })}</p>`}
    </div></section>`
}

// Card is drawn again only when its order or courier changed: lists are long.
function Card({ o, place, courier, loading, open }) {
  const refusal = useRefusal()
  return useMemo(() => {
    const keys = e => {
      if (e.target !== e.currentTarget || e.ctrlKey || e.metaKey || e.altKey) return
      const act = {
        a: () => assignable(o) && open({ kind: 'assign', order: o }), u: () => o.state === 'assigned' && open({ kind: 'unassign', order: o }),
        r: () => releasable(o) && run(o.id, 'release', undefined, t('done.released')), c: () => recheck(o.id),
        Enter: () => e.currentTarget.querySelector('a').click(),
      }[e.key]
      if (!act || refusal && e.key !== 'Enter') return
      e.preventDefault()
      act()
    }
    const name = courier?.name ?? o.courierName
    return html`<article class="card card-${o.state} ${o.missing ? 'missing' : ''}" tabindex="0" data-order=${o.id} data-state=${o.state} onKeyDown=${keys}>
      <div class="card-top">${place > 0 && html`<span class="place" title=${t('place')}>${number(place)}</span>`}<${OrderID} id=${o.id} />
        <span class="card-time"><${When} o=${o} /></span></div>
      ${o.state === 'assigned' && html`<div class="card-line"><${Icon} name=${courier?.transport_type ?? o.transport ?? 'courier'} size=${16} />${name
        ? html`<a href=${'/ui/couriers/' + o.courier}>${name}</a>` : loading ? '…' : t('courier.n', { id: o.courier })}</div><${Progress} o=${o} />`}
      ${o.state === 'held' && o.reason && html`<div class="card-line muted clamp" title=${o.reason}>${o.reason}</div>`}
      <div class="card-foot"><span class="badges"><${Overdue} o=${o} />
        ${o.missing && html`<${Badge} kind="missing" icon="missing" title=${t('missing.why', { at: dateTime(o.missing) })}>${t('badge.missing')}<//>`}</span>
        <span class="actions">
          <${Action} small icon="recheck" label=${t('do.recheck')} onClick=${() => recheck(o.id)} />
          ${releasable(o) && html`<${Action} small icon="release" label=${t('do.release')} onClick=${() => run(o.id, 'release', undefined, t('done.released'))}>${t('do.release')}<//>`}
          ${o.state === 'assigned' ? html`<${Action} small icon="unassign" label=${t('do.unassign')} onClick=${() => open({ kind: 'unassign', order: o })}>${t('do.unassign')}<//>`
            : assignable(o) && html`<${Action} small icon="assigned" label=${t('do.assign')} onClick=${() => open({ kind: 'assign', order: o })}>${t('do.assign')}<//>`}
          ${o.missing && html`<${Action} small danger icon="cancelled" label=${t('do.cancel')} onClick=${() => open({ kind: 'cancel', order: o })} />`}
        </span></div>
      ${o.note && html`<p class="card-note" role="alert">${o.note}</p>`}
    </article>`
  }, [o, place, courier, loading, refusal, open])
}

// service-order has to have the order, or no command but cancel succeeds.
const assignable = o => o.state !== 'assigned' && !o.missing
const releasable = o => o.state === 'held' && !o.missing

const When = ({ o }) => o.state === 'assigned' && o.deadline ? html`<${Left} deadline=${o.deadline} />` : html`<${Ago} at=${o.state === 'held' ? o.at : o.since} />`

const Overdue = ({ o }) => {
  const now = useNow()
  return o.state === 'assigned' && Date.parse(o.deadline) < now ? html`<${Badge} kind="overdue" icon="overdue">${t('badge.overdue')}<//>` : null
}

// Progress is how much of the time to the deadline has passed.
function Progress({ o }) {
  const now = useNow()
  if (!o.deadline || !o.assignedAt) return null
  const share = Math.min(1, Math.max(0, (now - Date.parse(o.assignedAt)) / (Date.parse(o.deadline) - Date.parse(o.assignedAt))))
  return html`<progress class=${share >= 1 ? 'late' : share > 0.8 ? 'soon' : ''} max="100" value=${Math.round(share * 100)} aria-label=${t('progress')} />`
}

function Couriers({ all, text, error }) {
  const [shown, setShown] = useState(step)
  const groups = useMemo(() => {
    const rank = { available: 0, busy: 1, paused: 2 }
    return (all ?? []).filter(c => has(c.name, text) || has(c.order_id, text)).sort((a, b) => rank[a.status] - rank[b.status] || (a.name < b.name ? -1 : 1))
  }, [all, text])
  return html`<section class="column column-couriers" aria-labelledby="col-couriers">
    <header><h2 id="col-couriers"><${Icon} name="courier" />${t('column.couriers')}</h2><span class="count">${!all ? '' : text ? t('some.of', { some: groups.length, all: all.length }) : number(all.length)}</span></header>
    <div class="cards">${!all && (error ? html`<${Failure} error=${error} />` : html`<${Loading} />`)}
      ${all?.length === 0 && html`<${Empty} icon="courier" title=${t('empty.couriers')}><a class="button" href="/ui/couriers?register=1">${t('courier.register')}</a><//>`}
      ${all?.length > 0 && groups.length === 0 && html`<${Empty} icon="search" title=${t('empty.filtered')} />`}
      <ul class="people">${groups.slice(0, shown).map(c => html`<${Person} key=${c.id} c=${c} />`)}</ul>
      ${groups.length > shown && html`<button type="button" class="button more" onClick=${() => setShown(shown + step)}>${t('show.more', { n: Math.min(step, groups.length - shown), all: number(groups.length - shown) })}</button>`}
    </div></section>`
}

// The texts depend on the answer: a delivery may have ended meanwhile, and goes on after a resume.
export async function pause(c) {
  const result = await attempt(() => post(`/api/v1/couriers/${c.id}/pause`, c.status === 'busy' ? { after_delivery: true } : {}), now => t(now.status === 'busy' ? 'done.pause.later' : 'done.paused', { name: c.name }))
  if (result) takeCourier(result)
}

export async function resume(c) {
  const result = await attempt(() => post(`/api/v1/couriers/${c.id}/resume`), now => t(now.status === 'busy' ? 'done.resumed.busy' : 'done.resumed', { name: c.name }))
  if (result) takeCourier(result)
}

const Person = ({ c }) => useMemo(() => html`<li class="person person-${c.status}" data-courier=${c.id} data-status=${c.status}>
  <span class="dot" title=${word('courier.', c.status)}><${Icon} name=${c.transport_type} size=${16} /></span>
  <span class="who"><a href=${'/ui/couriers/' + c.id}>${c.name}</a><small>${c.status === 'busy' && c.order_id ? html`<${OrderID} id=${c.order_id} />` : word('courier.', c.status)}${c.pause_after_delivery && html` · ${t('pause.after')}`}</small></span>
  ${c.status === 'paused' || c.pause_after_delivery ? html`<${Action} small icon="play" label=${t('do.resume', { name: c.name })} onClick=${() => resume(c)} />` : html`<${Action} small icon="pause" label=${t('do.pause', { name: c.name })} onClick=${() => pause(c)} />`}
</li>`, [c])

function Ended({ orders, read, stale, couriers }) {
  return html`<section class="ended" aria-labelledby="ended"><header><h2 id="ended">${t('ended')}</h2><span class="muted">${t('ended.lead')}</span></header>
    ${orders.length === 0 ? read ? html`<${Empty} icon="completed" title=${t(stale ? 'empty.stale' : 'empty.ended')} />` : html`<${Loading} />` : html`<div class="rows"><table><thead><tr><th>${t('order')}</th><th>${t('state')}</th><th>${t('courier')}</th><th>${t('when')}</th></tr></thead>
      <tbody>${orders.map(o => html`<tr key=${o.id}><td><${OrderID} id=${o.id} /></td><td><${State} state=${o.state} /></td><td>${o.courier ? html`<a href=${'/ui/couriers/' + o.courier}>${couriers?.get(o.courier)?.name ?? o.courierName ?? t('courier.n', { id: o.courier })}</a>` : '–'}</td><td>${t('ago.before')}<${Ago} at=${o.at} />${t('ago.after')}</td></tr>`)}</tbody></table></div>`}</section>`
}

// stateNow is the state of an order as the board knows it: it may change while a dialog is open.
export const stateNow = (b, o) => (b.orders.get(o.id) ?? b.ended.find(e => e.id === o.id) ?? o).state

// usePassed reports that a command makes no sense any more: the order has another state now,
// and not by the command itself.
function usePassed(possible, now) {
  const sent = useRef(false)
  return [!sent.current && now && !possible.includes(now), run => { sent.current = true; return run() }]
}

const Passed = ({ title, now, onClose }) => html`<${Dialog} title=${title} onClose=${onClose}><p class="note warn" role="status">${t('meanwhile')} <${State} state=${now} /></p><footer><button type="button" class="button" onClick=${onClose}>${t('close')}</button></footer><//>`

// Assign offers the next free courier, or one of those who are free now; couriers is null
// until they are read.
export function Assign({ order: o, now, couriers, onClose }) {
  const free = (couriers ?? []).filter(c => c.status === 'available').sort((a, b) => a.deliveries - b.deliveries)
  const [text, setText] = useState('')
  const [passed, send] = usePassed(['waiting', 'held', 'seen'], now)
  const shown = free.filter(c => c.name.toLowerCase().includes(text.trim().toLowerCase())).slice(0, 50)
  const to = c => send(async () => { await run(o.id, 'assign', c ? { courier_id: c.id } : {}, c ? t('done.assigned.to', { name: c.name }) : t('done.assigned')); onClose() })
  if (passed) return html`<${Passed} title=${t('assign.title', { id: o.id })} now=${now} onClose=${onClose} />`
  return html`<${Dialog} title=${t('assign.title', { id: o.id })} onClose=${onClose}>
    ${(!couriers || free.length > 0) && html`<${Action} class="button primary block" data-first icon="check" onClick=${() => to(null)}>${t('assign.next')}<//>`}
    ${!couriers ? html`<${Loading} rows=${1} />` : html`<p class="muted">${free.length ? t('assign.or', { n: free.length }) : t({ waiting: 'assign.none', held: 'assign.none.held' }[now] ?? 'error.no_courier_available')}</p>`}
    ${free.length > 8 && html`<input type="search" value=${text} placeholder=${t('search.courier')} aria-label=${t('search.courier')} onInput=${e => setText(e.target.value)} />`}
    <ul class="choices">${shown.map(c => html`<li key=${c.id}><${Action} class="choice" icon=${c.transport_type} onClick=${() => to(c)}><span>${c.name}</span><small class="muted">${word('transport.', c.transport_type)} · ${t('deliveries.n', { n: c.deliveries })}</small><//></li>`)}</ul><//>`
}

// Reason runs a command on an order that may have a reason, and says what becomes of the order's
// courier: there is none unless it is assigned.
export function Reason({ id, verb, now, courier, onClose }) {
  const [passed, send] = usePassed(verb === 'cancel' ? ['waiting', 'assigned', 'held'] : ['assigned'], now)
  const submit = form => send(async () => {
    const reason = form.elements.reason.value.trim()
    await run(id, verb, reason ? { reason } : {}, t({ unassign: 'done.unassigned', cancel: 'done.cancelled' }[verb]))
    onClose()
  })
  if (passed) return html`<${Passed} title=${t(verb + '.title', { id })} now=${now} onClose=${onClose} />`
  return html`<${Dialog} title=${t(verb + '.title', { id })} onClose=${onClose}><${Form} onSubmit=${submit} submit=${t('do.' + verb)} dismiss=${t(verb === 'cancel' ? 'close' : 'cancel')} onClose=${onClose}>
    <p class="muted">${t(verb + '.lead')}${now === 'assigned' && courier && ' ' + t(courier.pause_after_delivery ? 'frees.paused' : 'frees.available')}</p>
    <label class="field"><span>${t('reason.optional')}</span><input data-first name="reason" maxlength="200" autocomplete="off" /><small class="muted">${t('reason.hint')}</small></label><//><//>`
}
