// The frame around the pages: navigation, sign-in, the connection, keys.
import { html, render, useEffect, useRef, useState, useErrorBoundary } from './view.js'
import { t, language, chooseLanguage } from './i18n.js'
import { get, request, onUnauthorized } from './api.js'
import { session, eventsAlone, route, useStore, go, toast } from './state.js'
import { connection, follow } from './live.js'
import { Icon, Dialog, Connection, Outage, Toasts, Loading, Empty, message } from './ui.js'

const all = [
  { path: '/', icon: 'board', key: 'b', name: 'board', load: () => import('./pages/board.js') },
  { path: '/couriers', icon: 'courier', key: 'c', name: 'couriers', load: () => import('./pages/couriers.js') },
  { path: '/statistics', icon: 'statistics', key: 's', name: 'statistics', load: () => import('./pages/statistics.js') },
  { path: '/events', icon: 'events', key: 'e', name: 'events', load: () => import('./pages/events.js'), alone: true },
  { path: '/dead-letters', icon: 'dead', key: 'd', name: 'dead', load: () => import('./pages/dead_letters.js') },
  { path: '/health', icon: 'health', key: 'h', name: 'health', load: () => import('./pages/health.js'), alone: true },
  { path: '/playground', icon: 'playground', key: 'p', name: 'playground', load: () => import('./pages/playground.js'), when: who => who.playground && !eventsAlone },
  { path: '/orders', icon: 'assigned', name: 'order', load: () => import('./pages/order.js'), hidden: true },
]

// exists is false for the page of another command, such as the Playground of dev.
const exists = p => !p.when || p.when(session.value ?? {})
// listed is true for the pages in the menu: at the address of the events page few are useful.
const listed = p => exists(p) && !p.hidden && (p.alone || !eventsAlone)
const pageOf = path => all.filter(exists).find(p => p.path === path || p.path !== '/' && path.startsWith(p.path + '/'))

function Page({ path }) {
  const page = pageOf(path)
  const [view, setView] = useState(null)
  const [error, reset] = useErrorBoundary()
  useEffect(() => {
    let current = true
    reset?.()
    page?.load().then(m => { if (current) setView({ page, View: m.default }) }, e => { if (current) setView({ page, error: e }) })
    document.title = page ? t('nav.' + page.name) + ' · service-courier' : 'service-courier'
    return () => { current = false }
  }, [page])
  if (!page) return html`<h1 class="sr">${t('no.page')}</h1><${Empty} icon="seen" title=${t('no.page')}><a class="button" href="/ui/">${t('nav.board')}</a><//>`
  if (error || view?.error) return html`<${Empty} icon="overdue" title=${t('failed.page')}><p class="muted">${message(error ?? view.error)}</p><button type="button" class="button" onClick=${() => location.reload()}>${t('retry')}</button><//>`
  if (view?.page !== page) return html`<${Loading} />`
  return html`<${view.View} rest=${path.slice(page.path.length).replace(/^\//, '')} />`
}

function Live() {
  const c = useStore(connection)
  return html`<span class="live live-${c.status}" role="status" data-conn=${c.status}><i />${t('conn.' + (c.status === 'stale' ? 'lost' : c.status))}</span>`
}

function Theme() {
  const [theme, set] = useState(document.documentElement.dataset.theme ?? '')
  const next = { '': 'dark', dark: 'light', light: '' }[theme]
  const change = () => {
    if (next) document.documentElement.dataset.theme = next
    else delete document.documentElement.dataset.theme
    try { localStorage.setItem('theme', next) } catch { /* storage is blocked: until the next load */ }
    set(next)
  }
  return html`<button type="button" class="button quiet small" title=${t('theme')} onClick=${change}><${Icon} name="sun" size=${16} />${t('theme.' + (theme || 'system'))}</button>`
}

async function signOut() {
  await request('DELETE', '/api/v1/session').catch(() => {})
  session.value = { signed_in: false, token_required: true }
}

function Frame() {
  const who = useStore(session)
  const { path } = useStore(route)
  const [open, setOpen] = useState(false)
  const [help, setHelp] = useState(false)
  useEffect(follow, []) // every page shows the connection
  useEffect(() => { setOpen(false) }, [path])
  const closeMenu = () => { if (open) { setOpen(false); document.querySelector('.bar button').focus() } }
  useKeys({ help: () => setHelp(true), closeMenu })
  const links = all.filter(listed)
  const here = pageOf(path)
  return html`<a class="skip" href="#main" onClick=${e => { e.preventDefault(); document.querySelector('main').focus() }}>${t('skip')}</a>
    <div class="frame ${open ? 'open' : ''}">
      <header class="bar"><button type="button" class="button square quiet" aria-label=${t('menu')} aria-expanded=${open} onClick=${() => setOpen(!open)}><${Icon} name="menu" /></button><b>service-courier</b><${Live} /></header>
      <nav class="side" aria-label=${t('menu')}>
        <a class="brand" href=${eventsAlone ? '/ui/events' : '/ui/'}><img src="/ui/assets/icon.svg" alt="" width="28" height="28" /><span>service-courier</span></a>
        <ul>${links.map(p => html`<li><a href=${'/ui' + p.path} aria-current=${here === p ? 'page' : null}><${Icon} name=${p.icon} />${t('nav.' + p.name)}</a></li>`)}</ul>
        <div class="side-foot"><${Live} />
          ${who.token_required && html`<div class="me"><span><b>${who.name}</b><small>${t('role.' + who.role)}</small></span><button type="button" class="button square quiet small" title=${t('sign.out')} aria-label=${t('sign.out')} onClick=${signOut}><${Icon} name="out" size=${16} /></button></div>`}
          <div class="prefs"><${Theme} /><button type="button" class="button quiet small" lang=${language === 'ru' ? 'en' : 'ru'} onClick=${() => chooseLanguage(language === 'ru' ? 'en' : 'ru')}>${language === 'ru' ? 'English' : 'Русский'}</button>
          <button type="button" class="button quiet small" aria-label=${t('keys')} title=${t('keys')} onClick=${() => setHelp(true)}>?</button></div></div>
      </nav>
      <div class="shade" onClick=${() => setOpen(false)} />
      <main id="main" tabindex="-1"><${Connection} />${here?.name !== 'health' && html`<${Outage} />`}<${Page} path=${path} key=${here?.name} /></main>
    </div><${Toasts} />${help && html`<${Help} links=${links} onClose=${() => setHelp(false)} />`}`
}

const Help = ({ links, onClose }) => html`<${Dialog} title=${t('keys')} onClose=${onClose}><dl class="keys">
  ${[['?', 'keys'], ['/', 'key.search'], ['j k', 'key.move'], ['a', 'do.assign'], ['u', 'do.unassign'], ['r', 'do.release'], ['c', 'do.recheck'], ['Enter', 'key.open'], ['Esc', 'close']].map(([k, text]) => html`<dt>${k.split(' ').map(one => html`<kbd>${one}</kbd> `)}</dt><dd>${t(text)}</dd>`)}
  ${links.map(p => html`<dt><kbd>g</kbd> <kbd>${p.key}</kbd></dt><dd>${t('nav.' + p.name)}</dd>`)}</dl><//>`

// useKeys handles the keys that work on every page.
function useKeys(actions) {
  const latest = useRef()
  latest.current = actions
  useEffect(() => {
    let goes = 0
    const press = e => {
      if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest('input, textarea, select, dialog')) return
      const chosen = Date.now() - goes < 1500 && all.find(p => p.key === e.key && listed(p))
      goes = 0
      if (chosen) { e.preventDefault(); go('/ui' + chosen.path) }
      else if (e.key === '?') latest.current.help()
      else if (e.key === 'Escape') latest.current.closeMenu()
      else if (e.key === 'g') goes = Date.now()
      else if (e.key === '/') { const field = document.querySelector('main input[type=search]'); if (field) { e.preventDefault(); field.focus() } }
      else if (e.key === 'j' || e.key === 'k') {
        const cards = [...document.querySelectorAll('main [data-order], main [data-row]')].filter(c => c.offsetParent)
        const at = cards.indexOf(document.activeElement.closest('[data-order], [data-row]'))
        const next = cards[at < 0 ? 0 : Math.min(cards.length - 1, Math.max(0, at + (e.key === 'j' ? 1 : -1)))]
        if (next) { next.focus(); next.scrollIntoView({ block: 'nearest' }) }
      }
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [])
}

function SignIn() {
  const [error, setError] = useState('')
  const submit = async e => {
    e.preventDefault()
    try {
      await request('POST', '/api/v1/session', { token: e.target.elements.token.value.trim() })
      await load()
    } catch (err) { setError(err.status === 401 || err.status === 422 ? t('sign.unknown') : message(err)) }
  }
  return html`<main class="sign-in"><form onSubmit=${submit}><img src="/ui/assets/icon.svg" alt="" width="44" height="44" /><h1>${t('sign.in')}</h1><p class="muted">${t('sign.lead')}</p>
    <label class="field"><span>${t('sign.token')}</span><input type="password" name="token" autocomplete="current-password" required autofocus maxlength="512" onInput=${() => setError('')} aria-invalid=${Boolean(error)} />
    ${error && html`<small class="bad" role="alert">${error}</small>`}</label><button class="button primary block"><${Icon} name="key" />${t('sign.in')}</button></form></main>`
}

function App() {
  const who = useStore(session)
  if (!who) return html`<main class="sign-in"><${Loading} /></main>`
  if (who.failed) return html`<main class="sign-in"><${Empty} icon="overdue" title=${t('conn.failed')}><p class="muted">${t('conn.retrying')}</p><//></main>`
  return who.signed_in ? html`<${Frame} />` : html`<${SignIn} />`
}

async function load() {
  try {
    const who = await get('/api/v1/session')
    session.value = who
  } catch {
    if (!session.value || session.value.failed) { session.value = { failed: true }; setTimeout(load, 2000) }
  }
}

onUnauthorized.call = () => { if (session.value?.signed_in && session.value.token_required) { session.value = { signed_in: false, token_required: true }; toast(t('sign.ended'), 'failed') } }
render(html`<${App} />`, document.getElementById('app'))
load()
