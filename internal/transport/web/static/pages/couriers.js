import { html, useState, useEffect, useMemo } from '../view.js'
import { t, word, number, percent, brief, day, duration, utcTime } from '../i18n.js'
import { get, post, pages, request } from '../api.js'
import { useData, useStore, useNow, route, setQuery, go, toast, serverNow } from '../state.js'
import { follow, board } from '../live.js'
import { Icon, State, Badge, Action, Dialog, Form, Loaded, PageHead, OrderID, Empty, Field, Chart, attempt } from '../ui.js'
import { pause, resume } from './board.js'
import { columns } from './statistics.js'

export default function Couriers({ rest }) {
  useEffect(follow, [])
  return rest ? html`<${Courier} id=${rest} key=${rest} />` : html`<${List} />`
}

const StatusOf = ({ c }) => html`<span class="state state-${c.status}"><${Icon} name=${c.status} size=${15} />${word('courier.', c.status)}</span>${c.pause_after_delivery && html` <small class="muted">${t('pause.after')}</small>`}`

function List() {
  const { query } = useStore(route)
  const live = useStore(board)
  const status = query.get('status') ?? ''
  const text = (query.get('q') ?? '').toLowerCase()
  const list = useData(() => pages('/api/v1/couriers', 5000), [], 10)
  const fresh = live.couriers
  const [open, setOpen] = useState(query.has('register'))
  return html`<${PageHead} title=${t('nav.couriers')}><${Action} primary icon="plus" onClick=${() => setOpen(true)}>${t('courier.register')}<//><//>
    <div class="toolbar"><div class="search"><${Icon} name="search" /><input type="search" aria-label=${t('search.person')} placeholder=${t('search.person')} value=${query.get('q') ?? ''} onInput=${e => setQuery({ q: e.target.value })} /><kbd aria-hidden="true">/</kbd></div>
    <div class="chips" role="group" aria-label=${t('filter')}>${['', 'available', 'busy', 'paused'].map(s => html`<button type="button" class="chip" aria-pressed=${status === s} onClick=${() => setQuery({ status: s })}>${s ? word('courier.', s) : t('all')}</button>`)}</div></div>
    <${Loaded} of=${list}>${data => {
      const all = fresh && !data.more && data.items.length < 2000 ? [...fresh.values()].sort((a, b) => a.id - b.id) : data.items.map(c => fresh?.get(c.id) ?? c)
      const shown = all.filter(c => (!status || c.status === status) && (!text || c.name.toLowerCase().includes(text) || c.phone.includes(text)))
      if (!all.length) return html`<div class="panel"><${Empty} icon="courier" title=${t('empty.couriers')}><${Action} icon="plus" onClick=${() => setOpen(true)}>${t('courier.register')}<//><//></div>`
      if (!shown.length) return html`<div class="panel"><${Empty} icon="search" title=${t('empty.filtered')} /></div>`
      return html`<div class="rows list"><table><thead><tr><th>${t('name')}</th><th>${t('status')}</th><th>${t('transport')}</th><th>${t('current.order')}</th><th>${t('phone')}</th><th class="num">${t('deliveries')}</th><th><span class="sr">${t('actions')}</span></th></tr></thead>
        <tbody>${shown.slice(0, 500).map(c => html`<tr key=${c.id} data-row=${c.id} tabindex="0" onKeyDown=${e => e.key === 'Enter' && e.target === e.currentTarget && go('/ui/couriers/' + c.id)}><td><a href=${'/ui/couriers/' + c.id}><b>${c.name}</b></a></td><td><${StatusOf} c=${c} /></td>
          <td><${Icon} name=${c.transport_type} size=${17} /> ${word('transport.', c.transport_type)}</td><td>${c.order_id ? html`<${OrderID} id=${c.order_id} />` : '–'}</td><td class="muted">${c.phone}</td><td class="num">${number(c.deliveries)}</td>
          <td class="num"><${Toggle} c=${c} then=${list.reload} /></td></tr>`)}</tbody></table></div>${shown.length > 500 && html`<p class="muted more">${t('hidden', { n: shown.length - 500 })}</p>`}`
    }}<//>
    ${open && html`<${Register} onClose=${made => { setOpen(false); setQuery({ register: '' }); if (made) list.reload() }} />`}`
}

const Toggle = ({ c, then }) => c.status === 'paused' || c.pause_after_delivery
  ? html`<${Action} small icon="play" label=${t('do.resume', { name: c.name })} onClick=${() => resume(c).then(then)} />`
  : html`<${Action} small icon="pause" label=${t('do.pause', { name: c.name })} onClick=${() => pause(c).then(then)} />`

const transports = ['on_foot', 'scooter', 'car']

function Fields({ c = {} }) {
  return html`<${Field} label=${t('name')}><input name="name" data-first required maxlength="200" value=${c.name ?? ''} autocomplete="off" /><//>
    <${Field} label=${t('phone')}><input name="phone" type="tel" required maxlength="32" value=${c.phone ?? ''} autocomplete="off" /><//>
    <${Field} label=${t('transport')}><select name="transport">${transports.map(x => html`<option value=${x} selected=${x === c.transport_type}>${word('transport.', x)}</option>`)}</select><//>`
}

const read = form => ({ name: form.elements.name.value.trim(), phone: form.elements.phone.value.trim(), transport_type: form.elements.transport.value })

function Register({ onClose }) {
  const close = () => onClose(false)
  const submit = async form => {
    const c = read(form)
    await post('/api/v1/couriers', c)
    toast(t('done.registered', { name: c.name }))
    onClose(true)
  }
  return html`<${Dialog} title=${t('courier.register')} onClose=${close}><${Form} onSubmit=${submit} submit=${t('register')} onClose=${close}><${Fields} /><//><//>`
}

function Edit({ c, etag, onClose }) {
  const submit = async form => {
    await request('PATCH', '/api/v1/couriers/' + c.id, read(form), etag ? { 'If-Match': etag } : {})
    toast(t('done.saved'))
    onClose()
  }
  return html`<${Dialog} title=${t('courier.edit')} onClose=${onClose}><${Form} onSubmit=${submit} submit=${t('save')} onClose=${onClose}><${Fields} c=${c} /><//><//>`
}

const today = () => new Date().toISOString().slice(0, 10)

// Deliveries is a day of the courier as a bar of 24 hours, and as a table.
function Deliveries({ id, changed }) {
  const chosen = useStore(route).query.get('day')
  const current = today()
  const date = /^\d{4}-\d{2}-\d{2}$/.test(chosen ?? '') ? chosen : current
  const list = useData(() => get(`/api/v1/couriers/${encodeURIComponent(id)}/deliveries?day=${date}`), [id, date], date === current ? 30 : 0)
  useEffect(() => { if (list.data && date === current) list.reload() }, [changed])
  return html`<section class="panel"><header><h2>${t('deliveries.day')}</h2><label class="inline"><span>${t('day.utc')}</span><input type="date" min="2000-01-01" max=${current} value=${date} onChange=${e => e.target.value && setQuery({ day: e.target.value === current ? '' : e.target.value })} /></label></header>
    <${Loaded} of=${list} rows=${1}>${d => html`<${DayBar} d=${d} />${d.until && html`<p class="note warn"><${Icon} name="overdue" /> ${t('deliveries.until', { time: utcTime(d.until) })}</p>`}
      ${!d.items.length ? html`<${Empty} icon="assigned" title=${t('empty.day')} />` : html`<div class="rows flat"><table><thead><tr><th>${t('order')}</th><th>${t('state')}</th><th>${t('from')}</th><th>${t('to')}</th><th class="num">${t('took')}</th></tr></thead>
      <tbody>${d.items.toReversed().map(x => html`<tr key=${x.order_id + x.from}><td><${OrderID} id=${x.order_id} /></td><td><${State} state=${x.state} />${overdue(x) && html` <${Badge} kind="overdue" icon="overdue">${t('badge.overdue')}<//>`}</td>
        <td>${x.from ? utcTime(x.from) : '–'}</td><td>${x.to ? utcTime(x.to) : '–'}</td><td class="num">${x.from && x.to ? duration((Date.parse(x.to) - Date.parse(x.from)) / 1000) : '–'}</td></tr>`)}</tbody></table></div>`}`}<//></section>`
}

const overdue = x => x.deadline && Date.parse(x.deadline) < (x.to ? Date.parse(x.to) : serverNow())

function DayBar({ d }) {
  const now = useNow()
  const start = Date.parse(d.day)
  const second = at => Math.min(86400, Math.max(0, (at - start) / 1000))
  const hours = [0, 6, 12, 18, 24]
  return html`<div class="daybar" role="img" aria-label=${t('deliveries.bar', { n: d.items.length })}><svg viewBox="0 0 86400 34" preserveAspectRatio="none" aria-hidden="true">
    ${hours.slice(1, 4).map(h => html`<path class="hour" d=${`M${h * 3600} 0V34`} />`)}
    ${d.items.map(x => { const from = second(x.from ? Date.parse(x.from) : start); return html`<rect key=${x.order_id + x.from} class="bar-${overdue(x) ? 'overdue' : x.state}" x=${from} y="4" height="26" width=${Math.max(120, second(x.to ? Date.parse(x.to) : now) - from)} />` })}
    </svg></div><div class="dayhours" aria-hidden="true">${hours.map(h => html`<span>${h}:00</span>`)}</div>`
}

function Courier({ id }) {
  const live = useStore(board).couriers?.get(Number(id))
  const one = useData(() => request('GET', '/api/v1/couriers/' + encodeURIComponent(id)), [id], 10)
  useEffect(() => { if (one.data && live && live.status !== one.data.data.status) one.reload() }, [live?.status])
  const stats = useData(() => get(`/api/v1/couriers/${encodeURIComponent(id)}/statistics?by=day`), [id], 60)
  const [dialog, setDialog] = useState('')
  const chart = useMemo(() => stats.data && columns(stats.data.items, new Date(Date.now() - 29 * 86400_000).toISOString().slice(0, 10), new Date().toISOString().slice(0, 10)).count, [stats.data])
  if (one.error?.status === 404 || one.error?.status === 422) return html`<${PageHead} title=${t('courier')} /><div class="panel"><${Empty} icon="courier" title=${t('error.courier_not_found')}><a class="button" href="/ui/couriers">${t('nav.couriers')}</a><//></div>`
  const remove = async c => { if (await attempt(() => request('DELETE', '/api/v1/couriers/' + c.id), t('done.deleted', { name: c.name }))) go('/ui/couriers') }
  return html`<a class="crumb" href="/ui/couriers"><${Icon} name="left" size=${16} />${t('nav.couriers')}</a>${!one.data && html`<h1 class="sr">${t('courier')}</h1>`}<${Loaded} of=${one}>${({ data: c, etag }) => html`
    <${PageHead} title=${c.name}><${StatusOf} c=${c} /><span class="gap" />
      ${c.status === 'paused' || c.pause_after_delivery ? html`<${Action} icon="play" onClick=${() => resume(c).then(one.reload)}>${t('resume')}<//>` : html`<${Action} icon="pause" onClick=${() => pause(c).then(one.reload)}>${t(c.status === 'busy' ? 'pause.later' : 'pause')}<//>`}
      <${Action} onClick=${() => setDialog('edit')}>${t('edit')}<//><${Action} danger onClick=${() => setDialog('delete')}>${t('delete')}<//><//>
    <div class="stack"><section class="panel"><dl class="facts"><div><dt>${t('transport')}</dt><dd><${Icon} name=${c.transport_type} /> ${word('transport.', c.transport_type)}</dd></div><div><dt>${t('phone')}</dt><dd>${c.phone}</dd></div>
      <div><dt>${t('current.order')}</dt><dd>${c.order_id ? html`<${OrderID} id=${c.order_id} />` : '–'}</dd></div><div><dt>${t('deliveries')}</dt><dd>${number(c.deliveries)}</dd></div></dl></section>
    <${Deliveries} id=${id} changed=${(live ?? c).order_id + ' ' + (live ?? c).deliveries} />
    <section class="panel"><header><h2>${t('by.day')}</h2><span class="muted">${t('last.30')}</span></header><${Loaded} of=${stats}>${s => !s.items.length ? html`<${Empty} icon="statistics" title=${t('empty.statistics')} />` : html`
      <${Chart} title=${t('deliveries')} data=${chart} bars by="day" series=${[{ label: t('deliveries'), colour: 'assigned' }, { label: t('overdue.share'), colour: 'bad' }]} />
      <div class="rows flat"><table><thead><tr><th>${t('day')}</th><th class="num">${t('deliveries')}</th><th class="num">${t('overdue.share')}</th><th class="num">${t('mean')}</th><th class="num">p95</th><th class="num">${t('waiting.time')}</th></tr></thead>
      <tbody>${s.items.toReversed().map(d => html`<tr><td>${day(d.from)}</td><td class="num">${number(d.deliveries)}</td><td class="num">${percent(d.overdue_share)}</td><td class="num">${brief(d.average_delivery_seconds)}</td><td class="num">${brief(d.p95_delivery_seconds)}</td><td class="num">${brief(d.average_waiting_seconds)}</td></tr>`)}</tbody></table></div>`}<//></section></div>
    ${dialog === 'edit' && html`<${Edit} c=${c} etag=${etag} onClose=${() => { setDialog(''); one.reload() }} />`}
    ${dialog === 'delete' && html`<${Dialog} title=${t('delete.title', { name: c.name })} onClose=${() => setDialog('')}><p class="muted">${t('delete.lead')}</p><footer><button type="button" class="button" data-first onClick=${() => setDialog('')}>${t('cancel')}</button><${Action} danger onClick=${() => { setDialog(''); return remove(c) }}>${t('delete')}<//></footer><//>`}`}<//>`
}
