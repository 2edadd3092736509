import { html, useMemo } from '../view.js'
import { t, word, number, brief, dateTime } from '../i18n.js'
import { get } from '../api.js'
import { useData } from '../state.js'
import { Icon, Badge, Loaded, PageHead, Empty, Chart } from '../ui.js'

export default function Health() {
  const ready = useData(() => get('/readyz'), [], 5)
  const consumer = useData(() => get('/api/v1/consumer'), [], 5)
  const history = useData(() => get('/api/v1/health/history'), [], 5)
  return html`<${PageHead} title=${t('nav.health')} /><div class="stack">
    <${Loaded} of=${ready} rows=${1}>${r => html`<p class="note ${r.status === 'ready' ? 'good' : 'error'}" role="status"><${Icon} name=${r.status === 'ready' ? 'check' : 'overdue'} />${t('ready.' + r.status)}</p>
      <div class="components">${r.components.map(c => html`<section class="component"><h2>${word('component.', c.name)}</h2><span><span class="state state-${c.status}"><${Icon} name=${c.status === 'ok' ? 'completed' : 'overdue'} size=${15} />${t('component.' + c.status)}</span></span><p>${c.detail}${!c.required && ' · ' + t('component.optional')}</p></section>`)}
      ${consumer.data?.backlog && html`<${Missing} b=${consumer.data.backlog} /><${DeadLetters} n=${consumer.data.backlog.dead_letters} />`}
      ${consumer.data && html`<section class="component"><h2>${t('breaker')}</h2><span><span class="state state-${consumer.data.breaker === 'open' ? 'open' : 'ok'}"><${Icon} name=${consumer.data.breaker === 'open' ? 'overdue' : 'completed'} size=${15} />${t('breaker.' + consumer.data.breaker)}</span></span><p>${t('breaker.help')}</p></section>`}
      ${consumer.data?.outbox && html`<section class="component"><h2>${t('outbox')}</h2><span><b>${t('outbox.pending', { n: number(consumer.data.outbox.pending) })}</b></span><p>${consumer.data.outbox.topic}${consumer.data.outbox.oldest_at && ' · ' + t('outbox.oldest', { at: dateTime(consumer.data.outbox.oldest_at) })}</p></section>`}</div>`}<//>
    <div class="grid"><section class="panel"><header><h2>${t('lag')}</h2>${consumer.data && html`<b>${consumer.data.total_lag == null ? '–' : number(consumer.data.total_lag)}</b>`}</header><${Loaded} of=${consumer}>${c => c.kafka_error ? html`<p class="bad">${c.kafka_error}</p>` : html`<div class="rows flat"><table><thead><tr><th>${t('partition')}</th><th class="num">${t('committed')}</th><th class="num">${t('end')}</th><th class="num">${t('lag')}</th></tr></thead>
      <tbody>${c.partitions.map(p => html`<tr><td>${p.partition}</td><td class="num">${p.committed_offset == null ? '–' : number(p.committed_offset)}</td><td class="num">${number(p.end_offset)}</td><td class="num">${number(p.lag)}</td></tr>`)}</tbody></table></div>`}<//></section>
    <section class="panel"><header><h2>${t('rechecks')}</h2></header><${Loaded} of=${consumer}>${c => !c.rechecks.length ? html`<${Empty} icon="check" title=${t('empty.rechecks')} />` : html`<div class="rows flat"><table><thead><tr><th>${t('reason')}</th><th class="num">${t('orders')}</th><th class="num">${t('due')}</th><th>${t('recheck.next')}</th></tr></thead>
      <tbody>${c.rechecks.map(r => html`<tr><td><${Badge} kind="wait">${word('recheck.', r.reason)}<//></td><td class="num">${number(r.orders)}</td><td class="num">${number(r.due)}</td><td>${dateTime(r.next_at)}</td></tr>`)}</tbody></table></div>`}<//></section></div>
    <h2>${t('history')}</h2><${Loaded} of=${history}>${h => !h.samples.length ? html`<div class="panel"><${Empty} icon="health" title=${t('empty.history')} /></div>` : html`<${History} samples=${h.samples} />`}<//></div>`
}

// Missing counts the active orders that service-order does not have: the service stays ready.
const Missing = ({ b: { missing_orders: n, order_service_state_lost: lost } }) => html`<${Count} title=${t('missing.orders')} n=${n} icon="missing">
  ${lost && t('missing.lost')}${n ? html`<a href="/ui/?show=missing">${t('missing.show')}</a>` : t('missing.none')}<//>`

const DeadLetters = ({ n }) => html`<${Count} title=${t('nav.dead')} n=${n} icon="dead">${n ? html`<a href="/ui/dead-letters">${t('dead.show')}</a>` : t('empty.dead')}<//>`

// Count is a number that should be 0.
const Count = ({ title, n, icon, children }) => html`<section class="component"><h2>${title}</h2><span><span class="state state-${n ? 'failing' : 'ok'}"><${Icon} name=${n ? icon : 'completed'} size=${15} />${number(n)}</span></span><p>${children}</p></section>`

const span = 15 * 60
const gap = 15 // seconds without a sample, as after a restart, that a line does not cross
const inTime = ms => ms == null ? '–' : brief(ms / 1000)

// columnsOf returns the times, and for each name its values, with a hole in each gap.
function columnsOf(samples, names, scale = 1) {
  const all = [[], ...names.map(() => [])]
  let before
  for (const s of samples) {
    const at = Date.parse(s.at) / 1000
    if (at - before > gap) { all[0].push(before + 1); names.forEach((_, i) => all[i + 1].push(null)) }
    all[0].push(at)
    names.forEach((name, i) => all[i + 1].push(s[name] == null ? null : s[name] * scale))
    before = at
  }
  return all
}

const Figure = ({ title, value }) => html`<div class="total figure"><b>${value}</b><span>${title}</span></div>`

function History({ samples }) {
  const data = useMemo(() => ({
    events: columnsOf(samples, ['events_per_second', 'assignments_per_second']), lag: columnsOf(samples, ['lag']), waiting: columnsOf(samples, ['waiting_orders']),
    fetch: columnsOf(samples, ['fetch_p50_seconds', 'fetch_p99_seconds'], 1000), commit: columnsOf(samples, ['commit_p50_seconds', 'commit_p99_seconds'], 1000),
  }), [samples])
  const last = samples.at(-1)
  const times = [{ label: 'p50', colour: 'assigned', value: inTime }, { label: 'p99', colour: 'held', value: inTime }]
  const chart = (name, title, series) => html`<section class="panel"><${Chart} title=${title} data=${data[name]} span=${span} series=${series} /></section>`
  return html`<div class="totals"><${Figure} title=${t('history.events')} value=${number(last.events_per_second)} /><${Figure} title=${t('history.assignments')} value=${number(last.assignments_per_second)} />
      <${Figure} title=${t('lag')} value=${last.lag == null ? '–' : number(last.lag)} /><${Figure} title=${t('history.waiting')} value=${number(last.waiting_orders)} />
      <${Figure} title=${t('history.fetch.p99')} value=${brief(last.fetch_p99_seconds)} /><${Figure} title=${t('history.commit.p99')} value=${brief(last.commit_p99_seconds)} /></div>
    <div class="grid">${chart('events', t('history.rates'), [{ label: t('history.events'), colour: 'assigned', value: number }, { label: t('history.assignments'), colour: 'good', value: number }])}
      ${chart('lag', t('history.lag'), [{ label: t('lag'), colour: 'waiting', value: number }])}${chart('waiting', t('history.waiting'), [{ label: t('history.waiting'), colour: 'waiting', value: number }])}
      ${chart('fetch', t('history.fetch'), times)}${chart('commit', t('history.commit'), times)}</div>`
}
