// The Playground of `dev`: orders and faults in the simulator, and how the service recovers.
import { html, useState, useEffect } from '../view.js'
import { t, word, number, time, duration } from '../i18n.js'
import { texts } from '../texts.js'
import { get, post, request } from '../api.js'
import { useData, useStore, useNow, toast } from '../state.js'
import { board, follow } from '../live.js'
import { Icon, Action, Dialog, Loaded, PageHead, OrderID, Empty, Ago, Badge, message } from '../ui.js'

// The texts of this page, which serve does not load.
Object.assign(texts, {
  'play.lead': ['Cause a fault, and watch the service recover. Only service-courier dev has this page.', 'Вызовите сбой и смотрите, как сервис восстанавливается. Эта страница есть только в service-courier dev.'],
  'play.watch': ['Watch:', 'Смотрите:'], 'play.show': ['Show', 'Показать'], 'play.open': ['Show what to watch: {page}', 'Показать, куда смотреть: {page}'], 'play.run': ['Run', 'Выполнить'], 'play.left': ['ends in {time}', 'закончится через {time}'], 'play.starting': ['starting again', 'запускается снова'], 'play.failed': ['{name}: {error}', '{name}: {error}'],
  'play.create.one': ['Create an order', 'Создать заказ'], 'play.create.one.does': ['service-order creates one order and publishes its event.', 'service-order создаёт заказ и публикует его событие.'], 'play.create.one.watch': ['its card appears on the board and gets a courier.', 'карточка появится на доске и получит курьера.'], 'play.create.one.done': ['Created order {id}', 'Создан заказ {id}'],
  'play.create.many': ['Create 50 orders', 'Создать 50 заказов'], 'play.create.many.does': ['More orders than couriers, all at once.', 'Сразу больше заказов, чем курьеров.'], 'play.create.many.watch': ['every courier gets one order, the rest wait in the queue.', 'каждый курьер получит один заказ, остальные ждут в очереди.'], 'play.create.many.done': ['Created 50 orders', 'Создано 50 заказов'],
  'play.replay': ['Send every event three times, shuffled', 'Отправить каждое событие трижды вперемешку'], 'play.replay.does': ['The last 500 events are published three times more, in random order.', 'Последние 500 событий публикуются ещё по три раза в случайном порядке.'], 'play.replay.watch': ['the records change nothing or are superseded.', 'записи ничего не меняют или устарели.'], 'play.replay.done': ['Published {n} record again|Published {n} records again', 'Снова опубликована {n} запись|Снова опубликованы {n} записи|Снова опубликовано {n} записей'],
  'play.malformed': ['Send a malformed event', 'Отправить испорченное событие'], 'play.malformed.does': ['A record that is not JSON is published to the topic.', 'В топик публикуется запись, которая не является JSON.'], 'play.malformed.watch': ['it becomes a dead letter, and the events behind it go on.', 'она попадёт в ошибочные записи, остальные события идут дальше.'], 'play.malformed.done': ['Published the malformed record {id}', 'Опубликована испорченная запись {id}'],
  'play.outage': ['Stop service-order for 10 s', 'Остановить service-order на 10 с'], 'play.outage.does': ['Every request to it fails for ten seconds, and 20 orders are created meanwhile.', 'Десять секунд все запросы к нему завершаются ошибкой; за это время создаются 20 заказов.'], 'play.outage.watch': ['the circuit breaker opens and records wait in Kafka; then it closes and the cards appear.', 'предохранитель размыкается, записи ждут в Kafka; потом он замыкается, и карточки появляются.'], 'play.outage.done': ['service-order fails for 10 s; created 20 orders', 'service-order не отвечает 10 с; создано 20 заказов'],
  'play.database': ['Stop PostgreSQL for 5 s', 'Остановить PostgreSQL на 5 с'], 'play.database.does': ['The database ends as in a crash and is started again after five seconds.', 'База данных останавливается, как при аварии, и через пять секунд запускается снова.'], 'play.database.watch': ['the service is not ready and records wait in Kafka; then it goes on where it stopped.', 'сервис не готов, записи ждут в Kafka; потом он продолжает с того же места.'], 'play.database.done': ['PostgreSQL is stopped for 5 s', 'PostgreSQL остановлена на 5 с'],
  'play.forget': ['Make service-order forget everything', 'Стереть память service-order'], 'play.forget.does': ['It answers 404 for every order, as after a restart without its data.', 'Он отвечает 404 на каждый заказ, как после перезапуска без данных.'], 'play.forget.watch': ['within half a minute the open orders are missing; they keep their couriers until a dispatcher cancels them.', 'за полминуты открытые заказы станут пропавшими; курьеры остаются за ними, пока диспетчер их не отменит.'], 'play.forget.done': ['service-order has forgotten every order', 'service-order забыл все заказы'],
  'play.cancel.missing': ['Cancel the missing orders', 'Отменить пропавшие заказы'], 'play.cancel.missing.does': ['What a dispatcher does after service-order has lost its orders: cancel up to 100 of them.', 'То, что делает диспетчер, когда service-order потерял заказы: отменить до 100 из них.'], 'play.cancel.missing.watch': ['their couriers become available and get the waiting orders.', 'их курьеры освобождаются и получают ждущие заказы.'], 'play.cancel.missing.done': ['Cancelled {n} missing order|Cancelled {n} missing orders', 'Отменён {n} пропавший заказ|Отменены {n} пропавших заказа|Отменено {n} пропавших заказов'],
  'play.move': ['Move', 'Статус'], 'play.move.title': ['Move {id} to a status', 'Сменить статус {id}'], 'play.move.does': ['service-order sets the status and publishes the event; its timers go on from there. An order that has ended here never opens again.', 'service-order ставит статус и публикует событие; таймеры идут дальше. Завершённый здесь заказ больше не откроется.'], 'play.move.done': ['Order {id} is {status}', 'Заказ {id}: {status}'],
  'play.cancel': ['Cancel', 'Отменить'], 'play.cancel.title': ['Cancel {id}', 'Отменить {id}'], 'play.cancel.done': ['Order {id} is cancelled; its courier becomes available', 'Заказ {id} отменён; его курьер освобождается'], 'play.delete': ['Delete an order', 'Удалить заказ'], 'play.delete.title': ['Delete {id}', 'Удалить {id}'], 'play.delete.done': ['Order {id} is deleted: service-order answers 404, and it is cancelled here', 'Заказ {id} удалён: service-order отвечает 404, здесь он отменён'],
  'play.recovery': ['Recovery', 'Восстановление'], 'play.verdict': ['{lost} lost, {double} double', 'потеряно: {lost}, задвоено: {double}'], 'play.verdict.of': ['{n} order compared with the simulator and all invariants checked at {at}|{n} orders compared with the simulator and all invariants checked at {at}', '{n} заказ сверен с симулятором, инварианты проверены в {at}|{n} заказа сверены с симулятором, инварианты проверены в {at}|{n} заказов сверены с симулятором, инварианты проверены в {at}'], 'play.checking': ['Checking', 'Проверка'], 'play.unchecked': ['Not checked since then: {error}', 'С тех пор не проверено: {error}'],
  'play.fact.order_service': ['service-order', 'service-order'], 'play.fact.breaker': ['Circuit breaker', 'Предохранитель'], 'play.fact.postgresql': ['PostgreSQL', 'PostgreSQL'], 'play.fact.lag': ['Not read yet', 'Ещё не прочитано'], 'play.fact.behind': ['Not known here yet', 'Ещё не известно здесь'], 'play.fact.waiting': ['Waiting for a courier', 'Ждут курьера'], 'play.fact.missing': ['Missing', 'Пропали'],
  'play.runs': ['runs', 'работает'], 'play.stopped': ['stopped, {time} left', 'остановка, ещё {time}'], 'play.failed.start': ['did not start', 'не запустился'], 'play.breaker.note': ['records wait in Kafka', 'записи ждут в Kafka'], 'play.records': ['{n} record|{n} records', '{n} запись|{n} записи|{n} записей'], 'play.orders': ['{n} order|{n} orders', '{n} заказ|{n} заказа|{n} заказов'],
  'play.simulator': ['Orders in service-order', 'Заказы в service-order'], 'play.steps': ['Timers:', 'Таймеры:'], 'play.next': ['Next', 'Дальше'], 'play.timer': ['{status} in {time}', '{status} через {time}'], 'play.none': ['service-order has no orders', 'В service-order нет заказов'], 'play.log': ['What you did', 'Что вы сделали'], 'play.log.none': ['Nothing yet', 'Пока ничего'],
  'play.status.created': ['created', 'создан'], 'play.status.pending': ['pending', 'в обработке'], 'play.status.confirmed': ['confirmed', 'подтверждён'], 'play.status.cooking': ['cooking', 'готовится'], 'play.status.delivering': ['delivering', 'в доставке'], 'play.status.updated': ['updated', 'изменён'], 'play.status.completed': ['completed', 'завершён'], 'play.status.delivered': ['delivered', 'доставлен'], 'play.status.canceled': ['canceled', 'отменён'], 'play.status.deleted': ['deleted', 'удалён'],
})

const simulator = '/dev/v1/order-service'
const statuses = ['created', 'pending', 'confirmed', 'cooking', 'delivering', 'updated', 'completed', 'delivered', 'canceled']
const create = n => post(simulator + '/orders?count=' + n)

// actions: what each does and returns as values of its result. While busy says that the
// previous one still runs, it is disabled. Their texts are play.NAME, .does, .watch, .done.
const actions = [
  { name: 'create.one', icon: 'plus', watch: '/ui/', run: () => create(1).then(r => ({ id: r.order_ids[0] })) },
  { name: 'create.many', icon: 'plus', watch: '/ui/', run: () => create(50) },
  { name: 'replay', icon: 'events', watch: '/ui/events', run: () => post(simulator + '/replay?copies=3').then(r => ({ n: r.records })) },
  { name: 'malformed', icon: 'dead', watch: '/ui/dead-letters', run: () => post('/api/v1/records', { value: '{"order_id":' }).then(r => ({ id: r.partition + '@' + r.offset })) },
  { name: 'outage', icon: 'pause', watch: '/ui/', busy: s => s.order_service, run: async () => { await post(simulator + '/faults?fail=10s'); await create(20) } },
  { name: 'database', icon: 'pause', watch: '/ui/', busy: s => s.postgresql, run: () => post('/dev/v1/postgresql/stop') },
  { name: 'forget', icon: 'missing', watch: '/ui/?show=missing', danger: true, run: () => post(simulator + '/forget') },
  { name: 'cancel.missing', icon: 'cancelled', watch: '/ui/', run: cancelMissing },
]

// cancelMissing closes the orders that service-order has forgotten, as a dispatcher would.
async function cancelMissing() {
  const missing = (await get('/api/v1/orders?state=missing&limit=100')).items
  for (const o of missing) await post('/api/v1/orders/' + encodeURIComponent(o.order_id) + '/cancel')
  return { n: missing.length }
}

export default function Playground() {
  useEffect(follow, [])
  const state = useData(() => get('/dev/v1/state'), [], 1)
  const orders = useData(() => get(simulator + '/orders?limit=30'), [], 1)
  const consumer = useData(() => get('/api/v1/consumer'), [], 1)
  const [log, setLog] = useState([])
  // run does an action, reports what it did, and shows the new state at once.
  const run = async (name, what, values) => {
    try {
      const text = t('play.' + name + '.done', { ...values, ...await what() })
      setLog(before => [{ at: Date.now(), text, ok: true }, ...before].slice(0, 20))
      toast(text)
      return true
    } catch (e) {
      setLog(before => [{ at: Date.now(), text: t('play.failed', { name: t('play.' + name), error: message(e) }) }, ...before].slice(0, 20))
      toast(message(e), 'failed')
      return false
    } finally { state.reload(); orders.reload() }
  }
  return html`<${PageHead} title=${t('nav.playground')} lead=${t('play.lead')} /><div class="stack">
    <${Recovery} state=${state} consumer=${consumer} />
    <div class="plays">${actions.map(a => html`<${Play} key=${a.name} a=${a} now=${a.busy && state.data && a.busy(state.data)} run=${run} />`)}</div>
    <div class="two broad"><${Orders} orders=${orders} run=${run} /><${Log} log=${log} /></div></div>`
}

function Play({ a, now, run }) {
  const stopped = Boolean(now?.stopped)
  return html`<section class="panel play" data-play=${a.name}><h2><${Icon} name=${a.icon} />${t('play.' + a.name)}</h2><p>${t('play.' + a.name + '.does')}</p>
    <p class="muted"><b>${t('play.watch')}</b> ${t('play.' + a.name + '.watch')} <a href=${a.watch} aria-label=${t('play.open', { page: t('play.' + a.name) })}>${t('play.show')}</a></p>
    <footer><${Action} danger=${a.danger} disabled=${stopped} onClick=${() => run(a.name, a.run)}>${t('play.run')}<span class="sr">: ${t('play.' + a.name)}</span><//>
    ${stopped && html`<span class="play-left">${now.seconds_left > 0 ? t('play.left', { time: duration(now.seconds_left) }) : t('play.starting')}</span>`}</footer></section>`
}

const Fact = ({ name, value, kind, icon, note }) => html`<section class="component" data-fact=${name}><h2>${t('play.fact.' + name)}</h2><span><span class="state state-${kind}"><${Icon} name=${icon ?? (kind === 'ok' ? 'completed' : kind === 'failing' ? 'overdue' : 'waiting')} size=${15} />${value}</span></span>${note && html`<p>${note}</p>`}</section>`

// Recovery is how the service stands, from the states of its parts to the check.
function Recovery({ state, consumer }) {
  const { orders } = useStore(board)
  useNow()
  let missing = 0
  let waiting = 0
  for (const o of orders.values()) { missing += o.missing ? 1 : 0; waiting += o.state === 'waiting' ? 1 : 0 }
  const c = consumer.data
  return html`<section class="panel" aria-label=${t('play.recovery')}><header><h2>${t('play.recovery')}</h2></header><${Loaded} of=${state} rows=${1}>${s => html`<${Verdict} s=${s} />
    <div class="components"><${Fact} name="order_service" kind=${s.order_service.stopped ? 'failing' : 'ok'} value=${s.order_service.stopped ? t('play.stopped', { time: duration(s.order_service.seconds_left) }) : t('play.runs')} />
    <${Fact} name="breaker" kind=${!c ? 'wait' : c.breaker === 'open' ? 'failing' : 'ok'} value=${c ? t('breaker.' + c.breaker) : '–'} note=${c?.breaker === 'open' && t('play.breaker.note')} />
    <${Fact} name="postgresql" kind=${s.postgresql.stopped || s.postgresql.error ? 'failing' : 'ok'} value=${s.postgresql.stopped ? t('play.stopped', { time: duration(s.postgresql.seconds_left) }) : s.postgresql.error ? t('play.failed.start') : t('play.runs')} note=${s.postgresql.error} />
    <${Fact} name="lag" kind=${c?.total_lag === 0 ? 'ok' : 'waiting'} value=${c?.total_lag == null ? '–' : t('play.records', { n: c.total_lag })} />
    <${Fact} name="behind" kind=${s.check.behind ? 'waiting' : 'ok'} value=${t('play.orders', { n: s.check.behind })} />
    <${Fact} name="waiting" kind=${waiting ? 'waiting' : 'ok'} value=${t('play.orders', { n: waiting })} />
    <${Fact} name="missing" kind=${missing ? 'failing' : 'ok'} icon=${missing ? 'missing' : null} value=${t('play.orders', { n: missing })} /></div>`}<//></section>`
}

// Verdict is the result of the invariant check and of the comparison with the simulator.
function Verdict({ s: { check } }) {
  const bad = check.lost + check.violations.length
  const kind = bad ? 'error' : check.error || !check.at ? 'warn' : 'good'
  return html`<div class="note ${kind} verdict" role="status" data-lost=${check.lost} data-double=${check.violations.length} data-behind=${check.behind} data-checked=${check.at && !check.error ? check.orders : null}>
    <${Icon} name=${kind === 'good' ? 'check' : 'overdue'} size=${22} /><div><b>${!check.at ? t('play.checking') : t('play.verdict', { lost: check.lost, double: check.violations.length })}</b>
    ${check.at && html`<p>${t('play.verdict.of', { n: check.orders, at: time(check.at) })}</p>`}${check.error && html`<p>${t('play.unchecked', { error: check.error })}</p>`}
    ${check.violations.slice(0, 5).map(v => html`<p class="mono">${v}</p>`)}</div></div>`
}

function Orders({ orders, run }) {
  const [moving, setMoving] = useState(null)
  const act = (verb, o) => run(verb, () => verb === 'delete' ? request('DELETE', simulator + '/orders/' + o.id).then(() => {}) : post(`${simulator}/orders/${o.id}/status?status=canceled`).then(() => {}), { id: o.id })
  return html`<section class="panel"><header><h2>${t('play.simulator')}</h2>${orders.data && html`<span class="muted">${t('play.orders', { n: orders.data.total })}</span>`}</header><${Loaded} of=${orders}>${list => html`
    <p class="muted">${t('play.steps')} ${statuses.filter(status => list.steps[status]).map(status => html`<${Badge}>${word('play.status.', status)} ${seconds(list.steps[status])}<//> `)}</p>
    ${!list.orders.length ? html`<${Empty} icon="playground" title=${t('play.none')} />` : html`<div class="rows flat"><table><thead><tr><th>${t('order')}</th><th>${t('status')}</th><th>${t('since')}</th><th>${t('play.next')}</th><th><span class="sr">${t('actions')}</span></th></tr></thead>
    <tbody>${list.orders.map(o => html`<tr key=${o.id} data-row=${o.id} data-status=${o.status} tabindex="0"><td><${OrderID} id=${o.id} /></td><td>${word('play.status.', o.status)}</td><td><${Ago} at=${o.updated_at} /></td><td><${Timer} o=${o} /></td>
      <td class="num play-row"><${Action} small onClick=${() => setMoving(o)} label=${t('play.move.title', { id: o.id })}>${t('play.move')}<//>
      <${Action} small disabled=${ended(o)} onClick=${() => act('cancel', o)} label=${t('play.cancel.title', { id: o.id })}>${t('play.cancel')}<//>
      <${Action} small danger disabled=${o.status === 'deleted'} onClick=${() => act('delete', o)} label=${t('play.delete.title', { id: o.id })}>${t('delete')}<//></td></tr>`)}</tbody></table></div>`}`}<//>
    ${moving && html`<${Move} o=${moving} onClose=${() => setMoving(null)} run=${run} />`}</section>`
}

const ended = o => ['completed', 'delivered', 'canceled', 'deleted'].includes(o.status)
const units = { h: 3600, m: 60, s: 1, ms: 0.001 }
// seconds reads a duration of Go, such as 5m0s.
const seconds = text => duration([...text.matchAll(/([\d.]+)(ms|h|m|s)/g)].reduce((sum, [, n, unit]) => sum + n * units[unit], 0))

// Timer is what the simulator does with the order next, and when.
function Timer({ o }) {
  useNow()
  const left = at => duration((Date.parse(at) - Date.now()) / 1000)
  if (o.cancel_at && !(Date.parse(o.next_at) < Date.parse(o.cancel_at))) return t('play.timer', { status: word('play.status.', 'deleted'), time: left(o.cancel_at) })
  return o.next_at ? t('play.timer', { status: word('play.status.', o.next_status), time: left(o.next_at) }) : '–'
}

function Move({ o, onClose, run }) {
  const move = async status => { onClose(); await run('move', () => post(`${simulator}/orders/${o.id}/status?status=${status}`).then(() => {}), { id: o.id, status: word('play.status.', status) }) }
  return html`<${Dialog} title=${t('play.move.title', { id: o.id })} onClose=${onClose}><p class="muted">${t('play.move.does')}</p>
    <ul class="choices">${statuses.map((status, i) => html`<li><${Action} class="choice" icon=${{ completed: 'completed', delivered: 'completed', canceled: 'cancelled' }[status] ?? 'assigned'} data-first=${i === 0 ? '' : null} aria-current=${o.status === status ? 'true' : null} onClick=${() => move(status)}><span>${word('play.status.', status)}</span><small class="muted mono">${status}</small><//></li>`)}</ul><//>`
}

const Log = ({ log }) => html`<section class="panel" aria-label=${t('play.log')}><header><h2>${t('play.log')}</h2></header>${!log.length ? html`<${Empty} icon="playground" title=${t('play.log.none')} />` : html`<div class="play-log" role="log" tabindex="0" aria-label=${t('play.log')}><ol>${log.map(l => html`<li key=${l.at} class=${l.ok ? '' : 'bad'}><span class="muted">${time(l.at)}</span><span>${l.text}</span></li>`)}</ol></div>`}</section>`
