// The HTTP API and its server-sent events. A refused request is an ApiError with the
// problem that the server described.
export class ApiError extends Error {
  constructor(problem, status) {
    super(problem.detail ?? problem.title ?? problem.message ?? String(status))
    this.code = problem.code ?? 'network'
    this.status = status
    this.page = problem.type // that explains it
    this.fields = problem.errors ?? []
    this.requestID = problem.request_id
  }
}

// unauthorized is called when a token is required or no longer valid.
export const onUnauthorized = { call() {} }

export async function request(method, path, body, headers = {}) {
  let response
  try {
    response = await fetch(path, {
      method, headers: body === undefined ? headers : { 'Content-Type': 'application/json', ...headers },
      body: body === undefined ? undefined : JSON.stringify(body), signal: AbortSignal.timeout(15000),
    })
  } catch (e) {
    throw new ApiError({ code: e.name === 'TimeoutError' ? 'timeout' : 'network' }, 0)
  }
  const isJSON = /json/.test(response.headers.get('Content-Type') ?? '')
  const data = response.status === 204 ? null : isJSON ? await response.json().catch(() => null) : await response.text()
  if (!response.ok && !(path === '/readyz' && response.status === 503)) {
    if (response.status === 401 && path !== '/api/v1/session') onUnauthorized.call()
    throw new ApiError(isJSON && data ? data : { code: 'http', title: response.statusText }, response.status)
  }
  return { data, etag: response.headers.get('ETag') }
}

export const get = async path => (await request('GET', path)).data
export const post = async (path, body) => (await request('POST', path, body)).data

// pages returns the items of every page, at most max.
export async function pages(path, max = 1000) {
  const items = []
  for (let cursor = ''; ;) {
    const page = await get(path + (path.includes('?') ? '&' : '?') + 'limit=100' + (cursor && '&cursor=' + encodeURIComponent(cursor)))
    items.push(...page.items)
    cursor = page.next_cursor
    if (!cursor || items.length >= max) return { items, more: Boolean(cursor) }
  }
}

const silence = 40_000 // the server sends a comment every 15 s

// subscribe reads server-sent events until the returned function is called. After an
// interruption it continues with the last id. handlers: open(), event(kind, data), and lost(error)
// with the server's refusal, if there is one.
export function subscribe(path, handlers) {
  const ending = new AbortController()
  let lastID = ''
  const read = async () => {
    const headers = { Accept: 'text/event-stream' }
    if (lastID) headers['Last-Event-ID'] = lastID
    const stop = new AbortController()
    const abort = () => stop.abort()
    ending.signal.addEventListener('abort', abort)
    addEventListener('pagehide', abort) // a page in the browser's cache would keep its connection, of which there are six
    let watchdog = setTimeout(abort, silence)
    try {
      const response = await fetch(path, { headers, signal: stop.signal, cache: 'no-store' })
      if (response.status === 401) onUnauthorized.call()
      if (!response.ok) return new ApiError(await response.json().catch(() => ({ code: 'http', title: response.statusText })), response.status)
      handlers.open?.()
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
      let rest = ''
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return
        clearTimeout(watchdog)
        watchdog = setTimeout(abort, silence)
        const parts = (rest + value).split('\n\n')
        rest = parts.pop()
        for (const part of parts) {
          let kind = 'message', data = ''
          for (const line of part.split('\n')) {
            if (line.startsWith('id: ')) lastID = line.slice(4)
            else if (line.startsWith('event: ')) kind = line.slice(7)
            else if (line.startsWith('data: ')) data = line.slice(6)
          }
          if (data || kind !== 'message') handlers.event(kind, data ? JSON.parse(data) : null)
        }
      }
    } finally {
      clearTimeout(watchdog)
      ending.signal.removeEventListener('abort', abort)
      removeEventListener('pagehide', abort)
    }
  }
  ;(async () => {
    for (let pause = 500; !ending.signal.aborted; pause = Math.min(pause * 1.6, 5000)) {
      const began = Date.now()
      const refusal = await read().catch(() => {})
      if (ending.signal.aborted) return
      handlers.lost?.(refusal)
      if (Date.now() - began > 10_000) pause = 500
      await new Promise(wake => setTimeout(wake, pause * (0.7 + Math.random() * 0.6)))
    }
  })()
  return () => ending.abort()
}
