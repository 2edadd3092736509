import { html, useState, useMemo } from '../view.js'
import { t, word, number, dateTime } from '../i18n.js'
import { get, post, request, pages } from '../api.js'
import { useData, useStore, route, setQuery, toast } from '../state.js'
import { Icon, Action, Badge, Dialog, Form, Loaded, PageHead, Empty, Ago, attempt, message } from '../ui.js'

const reasons = ['not_json', 'bad_order_id', 'refused_by_database', 'processing_panicked']

export default function DeadLetters() {
  const { query } = useStore(route)
  const reason = query.get('reason') ?? ''
  const state = query.get('state') === 'handled' ? 'handled' : 'pending'
  const list = useData(() => pages(`/api/v1/dead-letters?state=${state}` + (reason && '&reason=' + reason), 500), [reason, state], 10)
  const [chosen, setChosen] = useState(new Set())
  const [dialog, setDialog] = useState(null)
  const [results, setResults] = useState(null)
  const pending = state === 'pending'
  const choose = (id, on) => { const next = new Set(chosen); on ? next.add(id) : next.delete(id); setChosen(next) }
  // each runs a command on every id, one after the other, and keeps each result.
  const each = async (verb, ids) => {
    const all = []
    for (const id of ids) {
      try { await post(`/api/v1/dead-letters/${id}/${verb}`); all.push({ id, ok: true }) } catch (e) { all.push({ id, ok: false, text: message(e) }) }
      setResults({ verb, total: ids.length, all: [...all] })
    }
    setChosen(new Set())
    list.reload()
  }
  const selected = list.data ? list.data.items.filter(d => chosen.has(d.id)) : []
  return html`<${PageHead} title=${t('nav.dead')} lead=${t('dead.lead')} />
    <div class="toolbar"><div class="chips" role="group" aria-label=${t('filter')}>${['pending', 'handled'].map(s => html`<button type="button" class="chip" aria-pressed=${state === s} onClick=${() => { setChosen(new Set()); setQuery({ state: s === 'pending' ? '' : s }) }}>${t('dead.' + s)}</button>`)}</div>
      <label class="inline"><span>${t('reason')}</span><select value=${reason} onChange=${e => setQuery({ reason: e.target.value })}><option value="">${t('all')}</option>${reasons.map(r => html`<option value=${r} selected=${r === reason}>${word('dead.', r)}</option>`)}</select></label>
      <span class="gap" />
      ${pending && list.data?.items.length > 0 && html`<${Action} icon="recheck" onClick=${() => setDialog({ kind: 'redrive', items: selected.length ? selected : list.data.items })}>${selected.length ? t('redrive.n', { n: selected.length }) : t('redrive.all')}<//>
        <${Action} danger onClick=${() => setDialog({ kind: 'discard', items: selected.length ? selected : list.data.items })}>${selected.length ? t('discard.n', { n: selected.length }) : t('discard.all')}<//>`}</div>
    <${Loaded} of=${list}>${({ items, more }) => !items.length ? html`<div class="panel"><${Empty} icon="check" title=${t(pending ? 'empty.dead' : 'empty.filtered')} /></div>` : html`
      <div class="rows"><table><thead><tr>${pending && html`<th><input type="checkbox" aria-label=${t('select.all')} checked=${chosen.size === items.length} onChange=${e => setChosen(new Set(e.target.checked ? items.map(d => d.id) : []))} /></th>`}<th>${t('record')}</th><th>${t('reason')}</th><th>${t('payload')}</th><th class="num">${t('attempts.head')}</th><th>${t('age')}</th><th><span class="sr">${t('actions')}</span></th></tr></thead>
      <tbody>${items.map(d => html`<tr key=${d.id} data-row=${d.id} tabindex="0" onKeyDown=${e => e.key === 'Enter' && e.target === e.currentTarget && (e.preventDefault(), setDialog({ kind: 'show', id: d.id }))}>${pending && html`<td><input type="checkbox" aria-label=${t('select', { id: d.id })} checked=${chosen.has(d.id)} onChange=${e => choose(d.id, e.target.checked)} /></td>`}
        <td class="mono">${d.partition}@${d.offset}</td><td><${Badge} kind=${pending ? 'bad' : 'info'}>${word('dead.', d.reason)}<//>${!pending && html` <${Badge} kind=${d.status === 'redriven' ? 'good' : ''}>${word('dead.', d.status)}<//>`}${d.edited && html` <${Badge} kind="wait">${t('dead.edited')}<//>`}</td>
        <td class="mono preview" title=${d.preview}>${d.preview || t('dead.empty')}</td><td class="num">${number(d.redrives + 1)}</td><td><${Ago} at=${d.created_at} /></td>
        <td class="num"><button type="button" class="button small" onClick=${() => setDialog({ kind: 'show', id: d.id })}>${t('open')}</button></td></tr>`)}</tbody></table></div>${more && html`<p class="muted more">${t('dead.more')}</p>`}`}<//>
    ${dialog?.kind === 'show' && html`<${Show} id=${dialog.id} onClose=${() => { setDialog(null); list.reload() }} />`}
    ${(dialog?.kind === 'redrive' || dialog?.kind === 'discard') && html`<${Dialog} title=${t(dialog.kind + '.title', { n: dialog.items.length })} onClose=${() => setDialog(null)}><p class="muted">${t(dialog.kind + '.lead')}</p>
      <footer><button type="button" class="button" data-first onClick=${() => setDialog(null)}>${t('cancel')}</button><${Action} primary=${dialog.kind === 'redrive'} danger=${dialog.kind === 'discard'} onClick=${() => { const { kind, items } = dialog; setDialog(null); return each(kind, items.map(d => d.id)) }}>${t(dialog.kind + '.n', { n: dialog.items.length })}<//></footer><//>`}
    ${results && html`<${Dialog} title=${t(results.verb + '.result')} onClose=${() => setResults(null)}><progress max=${results.total} value=${results.all.length} aria-label=${t(results.verb + '.result')} /><p role="status">${t('result.count', { done: results.all.filter(r => r.ok).length, failed: results.all.filter(r => !r.ok).length, of: results.total })}</p>
      <ul class="results">${results.all.filter(r => !r.ok).map(r => html`<li><b>#${r.id}</b> ${r.text}</li>`)}</ul><footer><button type="button" class="button primary" data-first onClick=${() => setResults(null)}>${t('close')}</button></footer><//>`}`
}

const bytes = text => text == null ? null : Uint8Array.from(atob(text), c => c.charCodeAt(0))
const utf8 = b => b && new TextDecoder().decode(b)

// hex shows bytes as a hex dump: offset, bytes, printable characters.
export function hex(b) {
  const rows = []
  for (let i = 0; i < Math.min(b.length, 4096); i += 16) {
    const part = [...b.slice(i, i + 16)]
    rows.push(i.toString(16).padStart(6, '0') + '  ' + part.map(x => x.toString(16).padStart(2, '0')).join(' ').padEnd(48) + ' ' + part.map(x => x >= 32 && x < 127 ? String.fromCharCode(x) : '.').join(''))
  }
  return rows.join('\n') + (b.length > 4096 ? '\n…' : '')
}

function Show({ id, onClose }) {
  const one = useData(() => get('/api/v1/dead-letters/' + id), [id])
  const [view, setView] = useState('text')
  const command = (verb, done) => attempt(() => post(`/api/v1/dead-letters/${id}/${verb}`), done).then(ok => { if (ok) onClose() })
  const edit = async form => {
    const text = form.elements.payload.value
    const raw = btoa(String.fromCharCode(...new TextEncoder().encode(text)))
    if (await attempt(() => request('PUT', `/api/v1/dead-letters/${id}/payload`, { payload: raw }), t('done.saved'))) { setView('text'); one.reload() }
  }
  return html`<${Dialog} wide title=${t('dead.one', { id })} onClose=${onClose}><${Loaded} of=${one}>${d => {
    const payload = bytes(d.payload) ?? new Uint8Array()
    return html`<dl class="facts"><div><dt>${t('record')}</dt><dd class="mono">${d.topic} ${d.partition}@${d.offset}</dd></div><div><dt>${t('reason')}</dt><dd>${word('dead.', d.reason)}</dd></div><div><dt>${t('produced')}</dt><dd>${dateTime(d.produced_at)}</dd></div><div><dt>${t('attempts.head')}</dt><dd>${number(d.redrives + 1)}</dd></div></dl>
    <p>${d.edited_at ? t('dead.before', { detail: d.detail }) : d.detail}</p>
    <div class="chips" role="group" aria-label=${t('payload')}>${['text', 'hex', ...(d.status === 'pending' ? ['edit'] : [])].map(v => html`<button type="button" class="chip" aria-pressed=${view === v} onClick=${() => setView(v)}>${t('payload.' + v)}</button>`)}</div>
    ${view === 'edit' ? html`<${Form} onSubmit=${edit} submit=${t('save')}><${'label'} class="field"><span class="sr">${t('payload')}</span><textarea name="payload" spellcheck="false" data-first>${utf8(payload)}</textarea><//><//>`
      : html`<pre tabindex="0" aria-label=${t('payload')}>${view === 'hex' ? hex(payload) : utf8(payload) || t('dead.empty')}</pre>`}
    ${d.headers.length > 0 && html`<h3>${t('headers')}</h3><dl class="facts">${d.headers.map(h => html`<div><dt class="mono">${utf8(bytes(h.key))}</dt><dd class="mono">${utf8(bytes(h.value))}</dd></div>`)}</dl>`}
    ${d.status === 'pending' && view !== 'edit' && html`<footer><${Action} danger onClick=${() => command('discard', t('done.discarded'))}>${t('discard')}<//><${Action} primary icon="recheck" onClick=${() => command('redrive', t('done.redriven'))}>${t('redrive')}<//></footer>`}`
  }}<//><//>`
}
