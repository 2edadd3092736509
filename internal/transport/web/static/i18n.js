// Texts, numbers, times and durations in the reader's language.
import { texts } from './texts.js'

const stored = (() => { try { return localStorage.getItem('language') } catch { return null } })()
const wanted = stored ?? navigator.language
export const language = wanted.toLowerCase().startsWith('ru') ? 'ru' : 'en'
document.documentElement.lang = language

export function chooseLanguage(next) {
  try { localStorage.setItem('language', next) } catch { /* storage is blocked: until the next load */ }
  location.reload()
}

const column = language === 'ru' ? 1 : 0
const plural = new Intl.PluralRules(language)

// t returns a text. Values replace {name}; of "one|few|many", {n} chooses the form.
export function t(key, values = {}) {
  const row = texts[key]
  if (!row) return key
  let text = row[column]
  if (text.includes('|')) {
    const forms = text.split('|')
    const rule = plural.select(values.n ?? 0)
    text = forms[language === 'ru' ? { one: 0, few: 1 }[rule] ?? 2 : rule === 'one' ? 0 : 1] ?? forms[0]
  }
  return text.replace(/\{(\w+)\}/g, (all, name) => {
    const v = values[name]
    return v === undefined ? all : typeof v === 'number' ? number(v) : v
  })
}

// has reports whether there is a text, for words that the API may extend.
export const word = (prefix, value) => texts[prefix + value] ? t(prefix + value) : value

const numbers = new Intl.NumberFormat(language, { maximumFractionDigits: 1 })
export const number = n => numbers.format(n)
const percents = new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 1 })
export const percent = n => n == null ? '–' : percents.format(n)

const clock = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })
const full = new Intl.DateTimeFormat(language, { year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', timeZoneName: 'short' })
const days = new Intl.DateTimeFormat(language, { month: 'short', day: 'numeric', timeZone: 'UTC' })
const utcClock = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', timeZone: 'UTC' })
export const utcTime = at => utcClock.format(new Date(at))
export const time = at => clock.format(new Date(at))
export const dateTime = at => full.format(new Date(at))
export const day = text => days.format(new Date(text + 'T00:00:00Z'))

// duration is short: two units at most.
export function duration(seconds) {
  if (seconds == null) return '–'
  const s = Math.max(0, Math.round(seconds))
  const unit = (n, key) => `${n} ${t('unit.' + key)}`
  if (s < 60) return unit(s, 's')
  if (s < 3600) return s < 600 && s % 60 ? `${unit(Math.floor(s / 60), 'min')} ${unit(s % 60, 's')}` : unit(Math.floor(s / 60), 'min')
  if (s < 86400) return `${unit(Math.floor(s / 3600), 'h')} ${unit(Math.floor(s % 3600 / 60), 'min')}`
  return `${unit(Math.floor(s / 86400), 'd')} ${unit(Math.floor(s % 86400 / 3600), 'h')}`
}

// brief is a duration with milliseconds.
export const brief = seconds => seconds == null ? '–' : seconds < 1 ? `${number(seconds * 1000)} ${t('unit.ms')}` : seconds < 60 ? `${number(seconds)} ${t('unit.s')}` : duration(seconds)
