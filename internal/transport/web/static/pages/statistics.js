import { html, useMemo } from '../view.js'
import { t, number, percent, brief, day } from '../i18n.js'
import { get, pages } from '../api.js'
import { useData, useStore, route, setQuery } from '../state.js'
import { Icon, Loaded, PageHead, Empty, Chart } from '../ui.js'

const iso = d => d.toISOString().slice(0, 10)
const back = days => iso(new Date(Date.now() - days * 86400_000))

export default function Statistics() {
  const { query } = useStore(route)
  const from = query.get('from') ?? back(29)
  const to = query.get('to') ?? iso(new Date())
  const period = `from=${from}&to=${to}`
  const days = useData(() => get(`/api/v1/statistics?by=day&${period}`), [period], 60)
  const sum = useData(() => get(`/api/v1/statistics?${period}`), [period], 60)
  const couriers = useData(() => Promise.all([pages(`/api/v1/statistics/couriers?${period}`, 1000), pages('/api/v1/couriers', 1000)]), [period], 60)
  const series = useMemo(() => days.data && columns(days.data.items, from, to), [days.data])
  const pick = n => setQuery({ from: back(n - 1), to: iso(new Date()) })
  return html`<${PageHead} title=${t('nav.statistics')} lead=${t('statistics.lead')}>
      <button type="button" class="button" disabled=${!days.data?.items.length} onClick=${() => save(days.data.items, from, to)}><${Icon} name="download" />CSV</button><//>
    <div class="toolbar"><label class="inline"><span>${t('from')}</span><input type="date" min="2000-01-01" max=${to} value=${from} onChange=${e => e.target.value && setQuery({ from: e.target.value, to })} /></label>
      <label class="inline"><span>${t('to')}</span><input type="date" min=${from} value=${to} onChange=${e => e.target.value && setQuery({ from, to: e.target.value })} /></label>
      <div class="chips">${[1, 7, 30, 90].map(n => html`<button type="button" class="chip" aria-pressed=${from === back(n - 1) && to === iso(new Date())} onClick=${() => pick(n)}>${t('days.n', { n })}</button>`)}</div></div>
    <${Loaded} of=${sum} rows=${1}>${({ items: [s] }) => html`<div class="totals"><${Figure} title=${t('deliveries')} value=${number(s.deliveries)} /><${Figure} title=${t('overdue.share')} value=${percent(s.overdue_share)} />
      <${Figure} title=${t('mean')} value=${brief(s.average_delivery_seconds)} /><${Figure} title=${t('p95')} value=${brief(s.p95_delivery_seconds)} /><${Figure} title=${t('waiting.time')} value=${brief(s.average_waiting_seconds)} /></div>`}<//>
    <div class="stack"><${Loaded} of=${days}>${({ items }) => !items.length ? html`<div class="panel"><${Empty} icon="statistics" title=${t('empty.statistics')} /></div>` : html`
      <div class="grid"><section class="panel"><${Chart} title=${t('deliveries')} data=${series.count} bars by="day" series=${[{ label: t('deliveries'), colour: 'assigned' }, { label: t('overdue.share'), colour: 'bad' }]} /></section>
      <section class="panel"><${Chart} title=${t('times')} data=${series.time} by="day" series=${[{ label: t('mean'), colour: 'assigned', value: m => brief(m * 60) }, { label: 'p95', colour: 'held', value: m => brief(m * 60) }, { label: t('waiting.time'), colour: 'waiting', value: m => brief(m * 60) }]} /></section></div>
      <${Table} head=${t('day')} rows=${items.toReversed().map(d => [day(d.from), d])} />`}<//>
    <h2>${t('by.courier')}</h2>
    <${Loaded} of=${couriers}>${([{ items }, all]) => {
      const names = new Map(all.items.map(c => [c.id, c.name]))
      const rows = items.filter(c => c.deliveries).sort((a, b) => b.deliveries - a.deliveries)
      return rows.length ? html`<${Table} head=${t('courier')} rows=${rows.map(c => [html`<a href=${'/ui/couriers/' + c.courier_id}>${names.get(c.courier_id) ?? t('courier.n', { id: c.courier_id })}</a>`, c])} />` : html`<div class="panel"><${Empty} icon="courier" title=${t('empty.statistics')} /></div>`
    }}<//></div>`
}

const Figure = ({ title, value }) => html`<div class="total figure"><b>${value}</b><span>${title}</span></div>`

const Table = ({ head, rows }) => html`<div class="rows"><table><thead><tr><th>${head}</th><th class="num">${t('deliveries')}</th><th class="num">${t('overdue.share')}</th><th class="num">${t('mean')}</th><th class="num">p95</th><th class="num">${t('waiting.time')}</th></tr></thead>
  <tbody>${rows.map(([name, d]) => html`<tr><td>${name}</td><td class="num">${number(d.deliveries)}</td><td class="num">${percent(d.overdue_share)}</td><td class="num">${brief(d.average_delivery_seconds)}</td><td class="num">${brief(d.p95_delivery_seconds)}</td><td class="num">${brief(d.average_waiting_seconds)}</td></tr>`)}</tbody></table></div>`

// columns has every day of the period: the API leaves out those without a delivery.
export function columns(items, from, to) {
  const known = new Map(items.map(d => [d.from, d]))
  const all = []
  for (let at = Date.parse(from); at <= Date.parse(to); at += 86400_000) all.push({ from: iso(new Date(at)), deliveries: 0, overdue_deliveries: 0, ...known.get(iso(new Date(at))) })
  const at = all.map(d => Date.parse(d.from) / 1000)
  const minutes = name => all.map(d => d[name] == null ? null : d[name] / 60)
  return { count: [at, all.map(d => d.deliveries), all.map(d => d.overdue_deliveries)], time: [at, minutes('average_delivery_seconds'), minutes('p95_delivery_seconds'), minutes('average_waiting_seconds')] }
}

function save(items, from, to) {
  const names = ['from', 'deliveries', 'overdue_deliveries', 'overdue_share', 'average_delivery_seconds', 'p95_delivery_seconds', 'average_waiting_seconds']
  const text = [['day', ...names.slice(1)], ...items.map(d => names.map(n => d[n] ?? ''))].map(row => row.join(',')).join('\r\n') + '\r\n'
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/csv' }))
  link.download = `statistics-${from}-${to}.csv`
  link.click()
  URL.revokeObjectURL(link.href)
}
