// The board's data: a snapshot of the live feed, the rest of long lists from the API,
// then every change. Changes of the feed come in commit order and are always applied; an
// answer of the API is applied unless it is older than the card.
import { get, pages, subscribe, request } from './api.js'
import { Store, setServerTime, serverNow, instant } from './state.js'

// connection: status connecting, live or stale; since when it is lost, and the refusal of
// the server, if any.
export const connection = new Store({ status: 'connecting' })

// outages are the components without which no new order is processed, as /readyz lists them.
export const outages = new Store([])

// board is replaced at most ten times a second, however many changes arrive.
export const board = new Store({ ready: false, orders: new Map(), ended: [], endedRead: false, couriers: null, couriersError: null, hidden: { waiting: 0, assigned: 0, held: 0 } })

const maxLoaded = 2000 // orders of one state
const maxEnded = 50
const active = new Set(['waiting', 'assigned', 'held'])

let orders = new Map()
let ended = []
let endedRead = false
let endedAt = new Map() // order → when it ended, so that an older list does not bring it back
let couriers = null
let couriersError = null
let hidden = { waiting: 0, assigned: 0, held: 0 }
let ready = false
let pending = 0
let generation = 0

function publish() {
  pending ||= setTimeout(() => {
    pending = 0
    board.value = { ready, orders, ended, endedRead, couriers, couriersError, hidden }
  }, 100)
}

function put(o, fromFeed) {
  const before = orders.get(o.id)
  if (!fromFeed && (instant(before?.at) > instant(o.at) || instant(endedAt.get(o.id)) >= instant(o.at))) return
  orders = orders === board.value.orders ? new Map(orders) : orders
  orders.set(o.id, before ? { ...before, ...o } : o)
}

function remove(id) {
  if (!orders.has(id)) return
  orders = orders === board.value.orders ? new Map(orders) : orders
  orders.delete(id)
}

function end(o, fromFeed) {
  if (!fromFeed && (instant(orders.get(o.id)?.at) > instant(o.at) || instant(endedAt.get(o.id)) >= instant(o.at))) return
  endedAt.set(o.id, o.at)
  if (endedAt.size > 5000) endedAt = new Map([...endedAt].slice(-2500))
  remove(o.id)
  ended = [o, ...ended.filter(e => e.id !== o.id)].sort((a, b) => instant(a.at) < instant(b.at) ? 1 : -1).slice(0, maxEnded)
}

// fromAPI is the card of an order as the API describes it.
function fromAPI(o) {
  const d = o.delivery
  return {
    id: o.order_id, state: o.state, at: o.updated_at, since: o.first_seen_at, position: o.queue_position, courier: d?.courier_id, courierName: d?.courier_name,
    assignedAt: d?.assigned_at, deadline: d?.deadline, reason: o.held_reason, missing: o.missing_since, recheck: o.recheck, overdue: o.overdue,
  }
}

// take shows an order that the API returned, such as the result of a command.
export function take(o) {
  const card = fromAPI(o)
  if (active.has(card.state)) put(card)
  else if (card.state !== 'seen') end(card)
  touchCouriers()
  publish()
}

// note shows a text on the card of an order for a while.
export function note(id, text) {
  const o = orders.get(id)
  if (!o) return
  orders = new Map(orders).set(id, { ...o, note: text })
  publish()
  if (text) setTimeout(() => note(id, null), 15_000)
}

function begin(s) {
  setServerTime(s.at)
  generation++
  orders = new Map()
  hidden = { waiting: 0, assigned: 0, held: 0 }
  for (const state of active) {
    for (const o of s[state].orders) {
      orders.set(o.order_id, {
        id: o.order_id, state, at: s.at, since: o.since, position: o.queue_position, courier: o.courier_id, assignedAt: state === 'assigned' ? o.since : undefined,
        deadline: o.deadline, reason: o.reason, missing: o.missing_seconds ? new Date(Date.parse(s.at) - o.missing_seconds * 1000).toISOString() : undefined,
      })
    }
    if (s[state].count > s[state].orders.length) loadRest(state, s[state].count, generation)
  }
  ready = true
  loadEnded(generation)
  loadCouriers()
  checkReadiness()
  publish()
}

async function loadRest(state, count, of) {
  hidden = { ...hidden, [state]: count - [...orders.values()].filter(o => o.state === state).length }
  try {
    const { items, more } = await pages('/api/v1/orders?state=' + state, maxLoaded)
    if (of !== generation) return
    for (const o of items) put(fromAPI(o))
    hidden = { ...hidden, [state]: more ? Math.max(0, count - items.length) : 0 }
    publish()
  } catch { /* the count says that there are more */ }
}

async function loadEnded(of) {
  try {
    const [completed, cancelled] = await Promise.all(['completed', 'cancelled'].map(s => get(`/api/v1/orders?state=${s}&limit=${maxEnded}`)))
    if (of !== generation) return
    for (const o of [...completed.items, ...cancelled.items]) end(fromAPI(o))
    endedRead = true
    publish()
  } catch { /* refresh tries again */ }
}

function change(c) {
  const o = {
    id: c.order_id, state: c.state, at: c.at, since: c.first_seen_at ?? c.at, position: c.queue_position, reason: c.reason, courier: undefined, deadline: undefined,
    assignedAt: undefined, missing: undefined, fresh: serverNow(),
  }
  const known = orders.get(o.id)
  if (!known && c.state !== 'waiting' && hidden.waiting) hidden = { ...hidden, waiting: hidden.waiting - 1 }
  if (c.state === 'assigned') {
    put({ ...o, reason: undefined, courier: c.courier_id, courierName: c.courier_name, transport: c.transport_type, deadline: c.deadline, assignedAt: c.at }, true)
    setCourier(c.courier_id, { status: 'busy', order_id: c.order_id })
  } else {
    const courier = couriers?.get(c.courier_id)
    if (courier?.order_id === c.order_id) {
      const deliveries = courier.deliveries + (c.state === 'completed' ? 1 : 0)
      setCourier(courier.id, { status: courier.pause_after_delivery ? 'paused' : 'available', order_id: undefined, pause_after_delivery: false, deliveries })
    }
    active.has(c.state) ? put({ ...o, reason: c.state === 'held' ? c.reason : undefined }, true) : end({ ...o, courier: c.courier_id, courierName: c.courier_name }, true)
  }
}

let courierEvents = 0
let courierEventOf = new Map() // courier → the number of the last event that changed it

function putCourier(id, c) {
  if (!couriers) return touchCouriers() // one is not the list
  courierEventOf.set(id, ++courierEvents)
  couriers = new Map(couriers)
  c ? couriers.set(id, c) : couriers.delete(id)
}

// setCourier changes what a change of an order says about its courier. Another program may
// have added the courier.
function setCourier(id, patch) {
  const c = couriers?.get(id)
  c ? putCourier(id, { ...c, ...patch }) : touchCouriers()
}

// courierEvent is a change of a courier through the API.
const courierEvent = ({ change, courier }) => putCourier(courier.id, change === 'deleted' ? null : courier)

export function takeCourier(c) {
  putCourier(c.id, c)
  publish()
}

let touched = 0
// touchCouriers reads the couriers soon.
export function touchCouriers() { touched ||= setTimeout(() => { touched = 0; loadCouriers() }, 2000) }

async function loadCouriers() {
  const before = courierEvents
  try {
    const { items } = await pages('/api/v1/couriers', 2000)
    const read = new Map(items.map(c => [c.id, c]))
    for (const [id, event] of courierEventOf) {
      if (event <= before) courierEventOf.delete(id)
      else couriers.has(id) ? read.set(id, couriers.get(id)) : read.delete(id) // the answer may be older than the event
    }
    couriers = read
    couriersError = null
  } catch (e) { couriersError = e }
  publish()
}

// checkReadiness costs little: requests of the same second get the same answer.
async function checkReadiness() {
  try {
    outages.value = (await get('/readyz')).components.filter(c => c.status === 'failing' && !c.depends_on)
  } catch { /* next time */ }
}

// What no event reports: orders that service-order no longer has, couriers that another
// program added to the database, and outages.
async function refresh() {
  if (document.hidden || connection.value.status !== 'live') return
  checkReadiness()
  loadCouriers()
  if (!endedRead) loadEnded(generation)
  try {
    const { items } = await pages('/api/v1/orders?state=missing', 500)
    const missing = new Map(items.map(o => [o.order_id, o.missing_since]))
    for (const o of orders.values()) if (o.missing !== missing.get(o.id)) put({ ...o, missing: missing.get(o.id) }, true)
    publish()
  } catch { /* next time */ }
}

// refetch reads one order again, after a conflict.
export async function refetch(id) {
  try { take(await get('/api/v1/orders/' + encodeURIComponent(id))) } catch { /* it stays as it is */ }
}

let users = 0
let stop
// follow keeps the board up to date until the returned function is called.
export function follow() {
  if (!users++) {
    connection.value = { status: 'connecting' }
    const timer = setInterval(refresh, 10_000)
    const leave = subscribe('/api/v1/stream', {
      open: () => { if (ready) { connection.value = { status: 'live' }; refresh() } }, // it continues, and may have nothing to send
      event: (kind, data) => {
        if (connection.value.status !== 'live') connection.value = { status: 'live' }
        if (kind === 'snapshot') begin(data)
        else if (kind === 'change') { change(data); publish() }
        else if (kind === 'courier') { courierEvent(data); publish() }
      },
      lost: error => {
        const { status, since, error: before } = connection.value
        if (status !== 'stale' || before?.code !== error?.code) connection.value = { status: 'stale', since: since ?? Date.now(), error }
      },
    })
    stop = () => { clearInterval(timer); leave() }
  }
  return () => { if (!--users) setTimeout(() => { if (!users) { stop(); ready = false; publish(); connection.value = { status: 'connecting' } } }, 1000) }
}

export const command = (id, verb, body) => request('POST', `/api/v1/orders/${encodeURIComponent(id)}/${verb}`, body).then(r => r.data)
