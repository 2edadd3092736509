"use strict";
// Shows /openapi.json: the operations by tag, with their requests and responses.

// el creates an element; children are elements or text, which is never parsed as HTML.
function el(name, attributes, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

function resolve(doc, schema) {
  if (!schema || !schema.$ref) return schema || {};
  return schema.$ref.slice(2).split("/").reduce((at, key) => at[key], doc);
}

// typeOf describes the values of a schema.
function typeOf(doc, schema) {
  const s = resolve(doc, schema);
  const bounds = [];
  if (s.enum) bounds.push(s.enum.join(" | "));
  if (s.pattern) bounds.push(s.pattern);
  for (const [key, sign] of [["minimum", "≥"], ["maximum", "≤"], ["minLength", "length ≥"], ["maxLength", "length ≤"]]) {
    if (s[key] !== undefined) bounds.push(`${sign} ${s[key]}`);
  }
  if (s.default !== undefined) bounds.push(`default ${s.default}`);
  const types = [s.type || "object"].flat().filter((t) => t !== "null").join(" or ");
  const of = types === "array" ? " of " + typeOf(doc, s.items) : s.format ? ` (${s.format})` : "";
  return types + of + (bounds.length ? ": " + bounds.join(", ") : "");
}

function row(...cells) {
  return el("tr", {}, ...cells.map((c) => el("td", {}, c)));
}

function fields(doc, schema, depth = 0) {
  let s = resolve(doc, schema);
  if (s.type === "array") s = resolve(doc, s.items);
  if (!s.properties || depth > 3) return null;
  const required = s.required || [];
  const rows = Object.entries(s.properties).map(([name, p]) => {
    const nested = fields(doc, p, depth + 1);
    const about = el("div", {}, p.description || "");
    if (nested) about.append(nested);
    return row(el("code", {}, name + (required.includes(name) ? "" : "?")), typeOf(doc, p), about);
  });
  return el("table", {}, ...rows);
}

function part(title, content) {
  return content ? el("section", {}, el("h4", {}, title), content) : null;
}

function parameters(doc, op) {
  if (!op.parameters || op.parameters.length === 0) return null;
  return el("table", {}, ...op.parameters.map((p) =>
    row(el("code", {}, p.name + (p.required ? "" : "?")), `${p.in}, ${typeOf(doc, p.schema)}`, p.description || "")));
}

function responses(doc, op) {
  const rows = Object.entries(op.responses).map(([status, r]) => {
    const [type, content] = Object.entries(r.content || {})[0] || ["", null];
    const shape = content && Number(status) < 400 ? fields(doc, content.schema) : null;
    return row(el("code", {}, status), r.description || "", shape || type);
  });
  return el("table", {}, ...rows);
}

// example is a curl command for the operation, with the examples of the document.
function example(doc, method, path, op) {
  const filled = path.replace(/\{(\w+)\}/g, (_, name) => {
    const p = (op.parameters || []).find((q) => q.in === "path" && q.name === name) || {};
    const s = resolve(doc, p.schema);
    return (s.examples || [1])[0];
  });
  let command = `curl -s${method === "get" ? "" : " -X " + method.toUpperCase()} ${location.origin}${filled}`;
  if ((op.security || []).length) command += ' -H "Authorization: Bearer $TOKEN"';
  const body = op.requestBody && Object.values(op.requestBody.content)[0];
  if (body) {
    const s = resolve(doc, body.schema);
    const value = {};
    for (const [name, p] of Object.entries(s.properties || {})) {
      const f = resolve(doc, p);
      value[name] = (f.examples || f.enum || [f.default ?? ""])[0];
    }
    command += ` -H 'Content-Type: application/json' -d '${JSON.stringify(value)}'`;
  }
  return el("pre", {}, command);
}

function operation(doc, method, path, op) {
  const role = (op.security || []).flatMap((s) => Object.values(s).flat()).join(", ");
  const body = op.requestBody && Object.values(op.requestBody.content)[0];
  return el("details", { id: op.operationId },
    el("summary", {}, el("b", { class: method }, method.toUpperCase()), " ", el("code", {}, path), " ", op.summary || ""),
    op.description ? el("p", {}, op.description) : null,
    el("p", {}, role ? `Needs a token with the role ${role}, where tokens are set.` : "Needs no token."),
    example(doc, method, path, op),
    part("Parameters", parameters(doc, op)),
    part("Body", body ? fields(doc, body.schema) : null),
    part("Responses", responses(doc, op)));
}

function show(doc) {
  const main = document.getElementById("operations");
  main.append(el("p", {}, doc.info.description.replaceAll("`", "")));
  const byTag = new Map();
  for (const [path, item] of Object.entries(doc.paths)) {
    for (const method of ["get", "head", "post", "put", "patch", "delete"]) {
      if (!item[method]) continue;
      const tag = (item[method].tags || ["other"])[0];
      byTag.set(tag, [...(byTag.get(tag) || []), operation(doc, method, path, item[method])]);
    }
  }
  for (const [tag, operations] of byTag) main.append(el("h2", {}, tag), ...operations);
}

fetch("/openapi.json")
  .then((response) => response.json())
  .then(show)
  .catch((err) => document.getElementById("operations").append(`/openapi.json cannot be shown: ${err}`));
