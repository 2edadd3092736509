// What every view needs: html`…` makes elements, and the hooks keep state.
import { h } from './lib/preact.js'
import htm from './lib/htm.js'

export { render, Fragment, Component } from './lib/preact.js'
export { useState, useEffect, useLayoutEffect, useMemo, useRef, useCallback, useErrorBoundary, useId } from './lib/hooks.js'
export const html = htm.bind(h)
