import { html, useState, useEffect, useMemo, useRef } from '../view.js'
import { t, word, number, time, dateTime } from '../i18n.js'
import { get, post } from '../api.js'
import { useData, useStore, route, session, setQuery, toast } from '../state.js'
import { board } from '../live.js'
import { Icon, Action, Badge, State, Cause, Dialog, Form, Loaded, PageHead, OrderID, Empty, Failure, Loading, Field, message } from '../ui.js'
import { hex } from './dead_letters.js'

const kept = 500 // records that the page keeps
const badges = { applied: ['good', 'check'], duplicate: ['', ''], superseded: ['', ''], deferred: ['wait', 'waiting'], dead_letter: ['bad', 'overdue'], pending: ['info', 'waiting'] }
const bytes = text => text == null ? null : Uint8Array.from(atob(text), c => c.charCodeAt(0))
const utf8 = text => text == null ? '' : new TextDecoder().decode(bytes(text))
const newest = (a, b) => Date.parse(b.at) - Date.parse(a.at) || a.partition - b.partition || b.offset - a.offset

// Events shows one topic: that of orders, or that of assignments, which may be off.
export default function Events() {
  const topic = useStore(route).query.get('topic') ?? ''
  return html`<${Records} key=${topic} topic=${topic} />`
}

function Records({ topic }) {
  const { query } = useStore(route)
  const { couriers } = useStore(board)
  const topics = useStore(session).topics ?? []
  const published = topic !== '' && topic === topics[1] // events of assignments
  const partition = query.get('partition') ?? ''
  const offset = query.get('offset') ?? ''
  const since = query.get('since') ?? ''
  const seek = Boolean(offset || since)
  const text = (query.get('q') ?? '').trim()
  const outcome = query.get('outcome') ?? ''
  const [paused, setPaused] = useState(false)
  const [state, setState] = useState({ records: new Map() })
  const [dialog, setDialog] = useState(null)
  const stopped = paused || seek
  useEffect(() => {
    let current = true
    let timer
    const path = '/api/v1/records?limit=' + (seek ? 100 : 40) + (topic && '&topic=' + encodeURIComponent(topic)) + (partition && '&partition=' + partition) + (offset && '&offset=' + offset) + (since && '&since=' + encodeURIComponent(new Date(since).toISOString()))
    const read = async () => {
      try {
        const { items } = await get(path)
        if (!current) return
        setState(before => {
          const records = new Map(seek ? [] : before.records)
          for (const r of items) records.set(r.partition + '@' + r.offset, r)
          return { at: Date.now(), records: new Map([...records].sort((a, b) => newest(a[1], b[1])).slice(0, kept)), loaded: true }
        })
      } catch (error) { if (current) setState(before => ({ ...before, error })) }
      if (current && !stopped) timer = setTimeout(read, document.hidden ? 5000 : 1000)
    }
    if (seek || !state.loaded) setState({ records: new Map() })
    if (!paused || seek) read()
    return () => { current = false; clearTimeout(timer) }
  }, [partition, offset, since, paused])
  const shown = useMemo(() => [...state.records.values()].filter(r => (published || !outcome || r.outcome === outcome) && (partition === '' || r.partition === Number(partition)) &&
    (!text || (r.order_id ?? '').includes(text) || (r.status ?? r.type) === text)), [state.records, outcome, text, partition])
  return html`<${PageHead} title=${t('nav.events')} lead=${html`${t('topic')} <span class="mono">${topic || topics[0]}</span>`}>
      ${!seek && html`<button type="button" class="button" aria-pressed=${paused} onClick=${() => setPaused(!paused)}><${Icon} name=${paused ? 'play' : 'pause'} />${t(paused ? 'events.go' : 'events.pause')}</button>`}
      ${!published && html`<${Action} publishes primary icon="plus" onClick=${() => setDialog({ kind: 'publish' })}>${t('publish')}<//>`}<//>
    ${topics[1] && html`<div class="toolbar chips" role="group" aria-label=${t('topic')}>${topics.map((name, i) => html`<button type="button" class="chip" aria-pressed=${name === (topic || topics[0])} onClick=${() => setQuery({ topic: i && name, partition: '', offset: '' })}>${t('topic.' + i)}</button>`)}</div>`}
    ${!published && html`<${Group} />`}
    <div class="toolbar"><div class="search"><${Icon} name="search" /><input type="search" value=${query.get('q') ?? ''} placeholder=${t('events.search')} aria-label=${t('events.search')} onInput=${e => setQuery({ q: e.target.value })} /><kbd aria-hidden="true">/</kbd></div>
      ${!published && html`<label class="inline"><span>${t('outcome')}</span><select onChange=${e => setQuery({ outcome: e.target.value })}>${['', ...Object.keys(badges)].map(o => html`<option value=${o} selected=${o === outcome}>${o ? t('outcome.' + o) : t('all')}</option>`)}</select></label>`}
      <form class="inline" onSubmit=${e => { e.preventDefault(); const f = e.target.elements; setQuery({ partition: f.partition.value, offset: f.offset.value, since: f.since.value }) }}>
        <label class="inline"><span>${t('partition')}</span><input class="tiny" name="partition" type="number" min="0" value=${partition} /></label><label class="inline"><span>${t('offset')}</span><input class="tiny" name="offset" type="number" min="0" value=${offset} /></label>
        <label class="inline"><span>${t('since')}</span><input name="since" type="datetime-local" value=${since} /></label><button class="button">${t('seek')}</button>
        ${(seek || partition) && html`<button type="button" class="button quiet" onClick=${() => setQuery({ partition: '', offset: '', since: '' })}>${t('events.live')}</button>`}</form></div>
    ${state.error && state.loaded && html`<p class="note warn" role="status"><${Icon} name="overdue" /> <span>${t('stale.data', { at: dateTime(state.at) })} ${message(state.error)}. <${Cause} of=${state.error} /></span></p>`}
    ${!state.loaded ? state.error ? html`<div class="panel"><${Failure} error=${state.error} /></div>` : html`<${Loading} /> ` : !shown.length ? html`<div class="panel"><${Empty} icon="events" title=${t(text || !published && outcome ? 'empty.filtered' : 'empty.events')} /></div>` : html`
    <div class="rows"><table class="records"><thead><tr><th>${t('time')}</th><th>${t('record')}</th><th>${t('order')}</th>${published ? html`<th>${t('type')}</th><th>${t('courier')}</th><th class="num">${t('sequence')}</th>` : html`<th>${t('status')}</th><th>${t('outcome')}</th>`}<th>${t('value')}</th></tr></thead>
      <tbody>${shown.map(r => html`<${Row} key=${r.partition + '@' + r.offset} r=${r} published=${published} courier=${couriers?.get(r.courier_id)?.name} open=${setDialog} />`)}</tbody></table></div>`}
    ${dialog?.kind === 'show' && html`<${Show} r=${dialog.record} onClose=${() => setDialog(null)} />`}
    ${dialog?.kind === 'publish' && html`<${Publish} onClose=${() => setDialog(null)} known=${shown.find(r => r.order_id)} />`}`
}

export const Outcome = ({ r }) => html`<${Badge} kind=${badges[r.outcome][0]} icon=${badges[r.outcome][1]} title=${r.recheck_at && dateTime(r.recheck_at)}>${t('outcome.' + r.outcome)}<//>`

const Row = ({ r, published, courier, open }) => useMemo(() => html`<tr data-row=${r.partition + '@' + r.offset} data-outcome=${r.outcome} tabindex="0" onKeyDown=${e => e.key === 'Enter' && e.target === e.currentTarget && (e.preventDefault(), open({ kind: 'show', record: r }))}>
  <td>${time(r.at)}</td><td class="mono"><button type="button" class="link" onClick=${() => open({ kind: 'show', record: r })}>${r.partition}@${r.offset}</button></td><td>${r.order_id ? html`<${OrderID} id=${r.order_id} />` : '–'}</td><td>${r.status ?? r.type ?? '–'}</td>
  ${published ? html`<td>${r.courier_id ? html`<a href=${'/ui/couriers/' + r.courier_id}>${courier ?? t('courier.n', { id: r.courier_id })}</a>` : '–'}</td><td class="num">${r.sequence ?? '–'}</td>` : html`<td><${Outcome} r=${r} />${r.applied_state && html` <small class="muted">${word('state.', r.applied_state)}</small>`}</td>`}<td class="mono preview muted">${utf8(r.value).slice(0, 120)}</td></tr>`, [r.partition, r.offset, r.outcome, courier])

function Group() {
  const consumer = useData(() => get('/api/v1/consumer'), [], 5)
  return html`<${Loaded} of=${consumer} rows=${1}>${c => html`<section class="panel group"><span><small class="muted">${t('group')}</small><br /><b>${c.group_id}</b> ${c.group_state && html`<${Badge} kind=${c.group_state === 'Stable' ? 'good' : 'wait'}>${c.group_state}<//>`}</span>
    <span><small class="muted">${t('members')}</small><br /><b>${number(c.members)}</b></span><span><small class="muted">${t('lag')}</small><br /><b>${c.total_lag == null ? '–' : number(c.total_lag)}</b></span>
    <span class="parts"><small class="muted">${t('lag.partitions')}</small><br />${c.partitions.map(p => html`<span class="part ${p.lag ? 'behind' : ''}" title=${t('part.title', { partition: p.partition, end: p.end_offset, committed: p.committed_offset ?? '–' })}>${p.partition}: ${number(p.lag)}</span>`)}</span>
    ${c.kafka_error && html`<p class="bad">${c.kafka_error}</p>`}</section>`}<//>`
}

function Show({ r, onClose }) {
  const [view, setView] = useState('text')
  const value = utf8(r.value)
  const pretty = useMemo(() => { try { return JSON.stringify(JSON.parse(value), null, 2) } catch { return value } }, [value])
  return html`<${Dialog} wide title=${t('record.title', { id: r.partition + '@' + r.offset })} onClose=${onClose}>
    <dl class="facts">${r.outcome && html`<div><dt>${t('outcome')}</dt><dd><${Outcome} r=${r} /></dd></div>`}<div><dt>${t('time')}</dt><dd>${dateTime(r.at)}</dd></div><div><dt>${t('key')}</dt><dd class="mono">${r.key == null ? '–' : utf8(r.key)}</dd></div>
      ${r.order_id && html`<div><dt>${t('order')}</dt><dd><${OrderID} id=${r.order_id} /> ${r.state && html`<${State} state=${r.state} />`}</dd></div>`}
      ${r.recheck_at && html`<div><dt>${t('recheck.next')}</dt><dd>${dateTime(r.recheck_at)}<br /><small class="muted">${word('recheck.', r.recheck_reason)}</small></dd></div>`}</dl>
    ${r.outcome && html`<p class="muted">${t('outcome.why.' + r.outcome)} ${r.dead_letter_id && html`<a href="/ui/dead-letters">${t('dead.one', { id: r.dead_letter_id })}</a>`}</p>`}
    <div class="chips" role="group" aria-label=${t('value')}>${['text', 'hex'].map(v => html`<button type="button" class="chip" aria-pressed=${view === v} onClick=${() => setView(v)}>${t('payload.' + v)}</button>`)}</div>
    <p /><pre tabindex="0" aria-label=${t('value')}>${view === 'hex' ? hex(bytes(r.value) ?? new Uint8Array()) : pretty || t('dead.empty')}</pre>
    ${r.headers.length > 0 && html`<h3>${t('headers')}</h3><dl class="facts">${r.headers.map(h => html`<div><dt class="mono">${utf8(h.key)}</dt><dd class="mono">${utf8(h.value)}</dd></div>`)}</dl>`}<//>`
}

function Publish({ onClose, known }) {
  const area = useRef()
  const event = status => JSON.stringify({ order_id: known?.order_id ?? 'ORDER_ID', status, created_at: new Date().toISOString().slice(0, 19) + 'Z' })
  const fill = text => { area.current.value = text }
  const submit = async () => {
    const at = await post('/api/v1/records', { value: area.current.value })
    toast(t('done.published', { id: at.partition + '@' + at.offset }))
    onClose()
  }
  useEffect(() => fill(event('created')), [])
  return html`<${Dialog} wide title=${t('publish.title')} onClose=${onClose}><${Form} publishes onSubmit=${submit} submit=${t('publish')} onClose=${onClose}><p class="muted">${t('publish.lead')}</p>
    <div class="chips"><button type="button" class="chip" onClick=${() => fill(event('created'))}>${t('publish.valid')}</button>${known && html`<button type="button" class="chip" onClick=${() => fill(utf8(known.value))}>${t('publish.duplicate')}</button>`}<button type="button" class="chip" onClick=${() => fill('{"order_id":')}>${t('publish.malformed')}</button></div>
    <${Field} label=${t('value')}><textarea ref=${area} name="value" data-first maxlength="16384" spellcheck="false" /><//><//><//>`
}
