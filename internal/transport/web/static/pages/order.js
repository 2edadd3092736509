import { html, useState, useEffect, useMemo } from '../view.js'
import { t, word, number, duration, time, dateTime } from '../i18n.js'
import { get } from '../api.js'
import { useData, useStore, session, instant, eventsAlone } from '../state.js'
import { board, follow } from '../live.js'
import { Icon, State, Badge, Action, Dialog, Loaded, PageHead, Ago, Left, Empty, copy, message } from '../ui.js'
import { Assign, Reason, recheck, run, stateNow } from './board.js'

export default function Order({ rest }) {
  const id = decodeURIComponent(rest)
  useEffect(follow, [])
  const b = useStore(board)
  const live = b.orders.get(id)
  const order = useData(() => get('/api/v1/orders/' + encodeURIComponent(id)), [id], 5)
  const ended = b.ended.find(o => o.id === id)
  const seen = (live ?? ended)?.at
  useEffect(() => { if (seen && order.data && instant(seen) > instant(order.data.updated_at)) order.reload() }, [seen]) // the board knows of a change
  const [dialog, setDialog] = useState('')
  const then = async result => { const done = await result; order.reload(); return done }
  const now = o => stateNow(b, { id: o.order_id, state: o.state })
  const close = () => { setDialog(''); order.reload() }
  if (!id) return html`<${Empty} icon="seen" title=${t('no.page')} />`
  if (order.error?.status === 404 || order.error?.status === 422) {
    return html`<${PageHead} title=${t('order')} /><div class="panel"><${Empty} icon="search" title=${message(order.error)}><p class="id">${id}</p><a class="button" href="/ui/">${t('back')}</a><//></div>`
  }
  return html`<a class="crumb" href="/ui/"><${Icon} name="left" size=${16} />${t('back')}</a>${!order.data && html`<h1 class="sr">${t('order')} ${id}</h1>`}<${Loaded} of=${order} rows=${5}>${o => {
    const name = b.couriers?.get(o.delivery?.courier_id)?.name ?? o.delivery?.courier_name
    return html`<${PageHead} title=${html`<span class="id big">${o.order_id}</span>`}>
      <${State} state=${o.state} />${o.overdue && html`<${Badge} kind="overdue" icon="overdue">${t('badge.overdue')}<//>`}${o.missing_since && html`<${Badge} kind="missing" icon="missing">${t('badge.missing')}<//>`}
      <span class="gap" />
      ${assignable(o) && html`<${Action} primary icon="assigned" onClick=${() => setDialog('assign')}>${t('do.assign')}<//>`}
      ${o.state === 'assigned' && html`<${Action} icon="unassign" onClick=${() => setDialog('unassign')}>${t('do.unassign')}<//>`}
      ${releasable(o) && html`<${Action} icon="release" onClick=${() => then(run(o.order_id, 'release', undefined, t('done.released')))}>${t('do.release')}<//>`}
      <${Action} icon="recheck" label=${t('do.recheck')} onClick=${() => then(recheck(o.order_id))} />
      ${cancellable(o) && html`<${Action} danger icon="cancelled" onClick=${() => setDialog('cancel')}>${t('do.cancel')}<//>`}
      <button type="button" class="button" onClick=${() => setDialog('curl')}><${Icon} name="copy" size=${16} />${t('copy.curl')}</button><//>
    ${o.no_courier && html`<${Why} o=${o} />`}
    <div class="two"><section class="panel"><header><h2>${t('timeline')}</h2></header><${Timeline} o=${o} couriers=${b.couriers} /></section>
    <section class="panel"><header><h2>${t('facts')}</h2></header><dl class="facts tall">
      ${o.delivery && html`<div><dt>${t('courier')}</dt><dd><a href=${'/ui/couriers/' + o.delivery.courier_id}>${name ?? t('courier.n', { id: o.delivery.courier_id })}</a></dd></div>
        <div><dt>${t('deadline')}</dt><dd>${dateTime(o.delivery.deadline)}${o.state === 'assigned' && html`<br /><small class="muted"><${Left} deadline=${o.delivery.deadline} /></small>`}</dd></div>
        ${o.delivery.completed_at && html`<div><dt>${t('delivery.time')}</dt><dd>${duration((Date.parse(o.delivery.completed_at) - Date.parse(o.delivery.assigned_at)) / 1000)}</dd></div>`}`}
      ${o.state === 'held' && !o.no_courier && html`<div><dt>${t('reason')}</dt><dd>${o.held_reason}</dd></div>`}
      ${o.order_created_at && html`<div><dt>${t('created')}</dt><dd>${dateTime(o.order_created_at)}</dd></div>`}
      <div><dt>${t('first.seen')}</dt><dd>${dateTime(o.first_seen_at)}</dd></div>
      ${o.missing_since && !o.no_courier && html`<div><dt>${t('missing.since')}</dt><dd>${dateTime(o.missing_since)}<br /><small class="muted">${word('missing.', o.state)}</small></dd></div>`}
      ${o.recheck && !o.no_courier && html`<div><dt>${t('recheck.next')}</dt><dd>${dateTime(o.recheck.at)}<br /><small class="muted">${word('recheck.', o.recheck.reason)}, ${t('attempts', { n: o.recheck.attempts })}${o.recheck.error && ': ' + o.recheck.error}</small></dd></div>`}
    </dl></section></div>
    ${dialog === 'assign' && html`<${Assign} order=${{ id: o.order_id }} now=${now(o)} onClose=${close} couriers=${b.couriers && [...b.couriers.values()]} />`}
    ${(dialog === 'unassign' || dialog === 'cancel') && html`<${Reason} id=${o.order_id} verb=${dialog} now=${now(o)} courier=${b.couriers?.get(live?.courier ?? o.delivery?.courier_id)} onClose=${close} />`}
    ${dialog === 'curl' && html`<${Curl} o=${o} onClose=${() => setDialog('')} />`}`
  }}<//>`
}

const assignable = o => ['waiting', 'held', 'seen'].includes(o.state) && !o.missing_since
const releasable = o => o.state === 'held' && !o.missing_since
const cancellable = o => o.missing_since && ['waiting', 'assigned', 'held'].includes(o.state)

// Why says why the order has no courier, and what happens next.
function Why({ o }) {
  const why = o.no_courier
  const fact = (name, value, more) => html`<div><dt>${t(name)}</dt><dd>${value}${more && html`<br /><small class="muted">${more}</small>`}</dd></div>`
  return html`<section class="panel why" data-cause=${why.cause}><header><h2>${t('why')}</h2></header><p class="note ${why.cause === 'queued' ? 'good' : 'warn'}"><${Icon} name=${{ held: 'held', held_missing: 'missing', missing: 'missing', not_found: 'missing', status_unknown: 'recheck' }[why.cause] ?? 'waiting'} />${word('why.', why.cause)}</p><dl class="facts">
    ${why.position && fact('place', number(why.position), `${t('why.before', { n: why.orders_before })}${why.missing_before ? ', ' + t('why.before.missing', { n: why.missing_before }) : ''}`)}
    ${fact('free.couriers', number(why.free_couriers))}
    ${why.held_by && fact('held.by', cause(why.held_by), html`<${Ago} at=${why.held_since} />${t('ago.after')}, ${dateTime(why.held_since)}`)}
    ${o.held_reason && fact('reason', o.held_reason)}
    ${o.missing_since && fact('missing.since', dateTime(o.missing_since), word('missing.', o.state))}
    ${o.recheck && fact('recheck.next', dateTime(o.recheck.at), `${word('recheck.', o.recheck.reason)}, ${t('attempts', { n: o.recheck.attempts })}${o.recheck.error ? ': ' + o.recheck.error : ''}`)}</dl></section>`
}

// Curl has a command for all that the caller may do with the order now.
function Curl({ o, onClose }) {
  const who = useStore(session)
  const token = who?.token_required ? ` -H "Authorization: Bearer $TOKEN"` : ''
  const url = `'${location.origin}/api/v1/orders/${o.order_id}`
  const post = (verb, body) => [t('do.' + verb), `curl -X POST${token} -H 'Content-Type: application/json' -d '${JSON.stringify(body)}' ${url}/${verb}'`]
  const all = [[t('curl.get'), `curl${token} ${url}'`]]
  if (who?.role === 'operate' && !eventsAlone) {
    if (assignable(o)) all.push(post('assign', {}))
    if (o.state === 'assigned') all.push(post('unassign', { reason: '' }))
    if (releasable(o)) all.push(post('release', {}))
    if (cancellable(o)) all.push(post('cancel', { reason: '' }))
    all.push(post('recheck', {}))
  }
  return html`<${Dialog} title=${t('copy.curl')} onClose=${onClose} wide><ul class="commands">${all.map(([title, text], i) => html`<li><header><h3>${title}</h3><button type="button" class="button small" data-first=${i === 0} aria-label=${t('copy') + ': ' + title} onClick=${() => copy(text)}><${Icon} name="copy" size=${15} />${t('copy')}</button></header><pre tabindex="0">${text}</pre></li>`)}</ul><//>`
}

// cause describes why a transition happened.
export function cause(source) {
  const record = /^(\d+)@(\d+)$/.exec(source)
  if (record) return html`<a href=${`/ui/events?partition=${record[1]}&offset=${record[2]}`}>${t('cause.record', { partition: record[1], offset: record[2] })}</a>`
  const dispatcher = /^dispatcher(?::(.*))?$/.exec(source)
  if (dispatcher) return dispatcher[1] ? t('cause.dispatcher', { name: dispatcher[1] }) : t('cause.someone')
  return word('cause.', source)
}

function Timeline({ o, couriers }) {
  const steps = useMemo(() => {
    const all = []
    if (o.order_created_at) all.push({ at: o.order_created_at, icon: 'plus', kind: '', title: t('step.created') })
    for (const e of o.timeline) {
      const name = e.courier_id && (couriers?.get(e.courier_id)?.name ?? e.courier_name ?? t('courier.n', { id: e.courier_id }))
      all.push({ at: e.at, icon: e.state, kind: e.state, title: t('step.' + e.state, { name: name ?? '' }), name, id: e.courier_id, source: e.source, reason: e.reason, deadline: e.deadline })
    }
    return all
  }, [o, couriers])
  if (!steps.length) return html`<${Empty} icon="seen" title=${t('timeline.empty')} />`
  return html`<ol class="timeline">${steps.map((s, i) => html`<li class="step step-${s.kind}"><span class="step-icon"><${Icon} name=${s.icon} size=${17} /></span>
    <div><b>${s.title}</b>${s.id && html` · <a href=${'/ui/couriers/' + s.id}>${s.name}</a>`}
      ${s.source && html`<p>${cause(s.source)}${s.reason && html`: ${s.reason}`}</p>`}${s.deadline && html`<p>${t('deadline')}: ${time(s.deadline)}</p>`}</div>
    <time datetime=${s.at} title=${dateTime(s.at)}>${time(s.at)}${i > 0 && html`<br /><small>+${duration((Date.parse(s.at) - Date.parse(steps[i - 1].at)) / 1000)}</small>`}</time></li>`)}
    ${['waiting', 'assigned', 'held'].includes(o.state) && html`<li class="step"><span class="step-icon"><${Icon} name="waiting" size=${17} /></span><div class="muted">${t('step.now.' + o.state)}</div><span class="muted"><${Ago} at=${steps.at(-1).at} /></span></li>`}</ol>`
}
