// The sandbox's page. Whatever the services hold comes from outside: it becomes text, never markup.
"use strict";

const token = document.querySelector('meta[name="sandbox-token"]').content;
const services = document.getElementById("services");
const said = document.getElementById("said");
const parts = new Map();

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

function say(text, wrong) {
  said.textContent = text;
  said.classList.toggle("wrong", Boolean(wrong));
}

async function act(service, title, body, control) {
  control.disabled = true;
  try {
    const answer = await fetch("/act", {
      method: "POST",
      headers: { "content-type": "application/json", "x-sandbox-token": token },
      body: JSON.stringify({ service, ...body }),
    });
    const told = await answer.json();
    say(told.error ? `${title}: ${told.error}` : `${title}: ${told.done}`, told.error);
  } catch {
    say("The sandbox does not answer: it may have been stopped.", true);
  } finally {
    control.disabled = false;
    control.focus();
  }
}

function fieldOf(service, field) {
  const id = `${service}-${field.name}`;
  const label = make("label", { for: id, text: field.label });
  let control;
  if (field.choices.length > 0) {
    control = make("select", { id, name: field.name });
    for (const choice of field.choices) {
      const option = make("option", { value: choice, text: choice.replaceAll("_", " ") });
      option.selected = choice === field.value;
      control.append(option);
    }
  } else {
    control = make("input", { id, name: field.name, type: "text", autocomplete: "off", spellcheck: "false" });
    if (field.kind === "email") control.setAttribute("inputmode", "email");
    if (field.kind === "amount") control.setAttribute("inputmode", "decimal");
    control.value = field.value;
  }
  return make("div", { class: "field" }, label, control);
}

function sectionOf(panel, faults) {
  const { service, title } = panel;
  const broken = make("span", { class: "broken" });
  broken.hidden = true;
  const tables = make("div", { class: "tables" });
  const none = make("p", { class: "none" });
  const section = make("section", { id: service, "aria-labelledby": `${service}-title` },
    make("div", { class: "head" },
      make("h2", { id: `${service}-title`, text: title }), broken, make("code", { text: panel.address })),
    make("p", { class: "about", text: panel.about }));
  if (panel.buttons.length > 0) {
    const form = make("form", { "aria-label": `Make something happen at ${title}` });
    const fields = make("div", { class: "fields" });
    for (const field of panel.fields) fields.append(fieldOf(service, field));
    const buttons = make("div", { class: "buttons" });
    for (const button of panel.buttons) {
      const control = make("button", { type: "button", text: button.label, "data-button": button.id });
      control.addEventListener("click", () => {
        const given = Object.fromEntries(new FormData(form));
        act(service, title, { act: "press", button: button.id, fields: given }, control);
      });
      buttons.append(control);
    }
    form.addEventListener("submit", (event) => event.preventDefault());
    form.append(fields, buttons);
    section.append(form);
  }
  const id = `${service}-fault`;
  const choice = make("select", { id });
  for (const fault of faults) choice.append(make("option", { value: fault.id, text: fault.label }));
  choice.addEventListener("change", () => act(service, title, { act: "fault", fault: choice.value }, choice));
  const reset = make("button", { type: "button", text: "Forget everything", "data-button": "reset" });
  reset.addEventListener("click", () => act(service, title, { act: "reset" }, reset));
  section.append(
    make("details", {}, make("summary", { text: "Let something go wrong" }),
      make("div", { class: "fields" },
        make("div", { class: "field" }, make("label", { for: id, text: `What goes wrong at ${title}` }), choice)),
      make("div", { class: "buttons" }, reset)),
    tables, none);
  parts.set(service, { broken, tables, none, choice, shown: new Map() });
  return section;
}

function tableOf(service, table, known) {
  const heading = make("h3", { text: table.title });
  heading.append(" ", make("span", { class: "count", text: `(${table.count})` }));
  const head = make("tr");
  for (const column of table.columns) head.append(make("th", { scope: "col", text: column }));
  const body = make("tbody");
  for (const row of table.rows) {
    const line = make("tr");
    if (known && !known.has(row.join("\u0000"))) line.className = "new";
    for (const cell of row) line.append(make("td", cell.length > 40 ? { text: cell, class: "long" } : { text: cell }));
    body.append(line);
  }
  const scroll = make("div", { class: "scroll", role: "region", "aria-label": `${service}: ${table.title}`, tabindex: "0" },
    make("table", {}, make("thead", {}, head), body));
  return make("div", {}, heading, scroll);
}

function show(state) {
  for (const [service, view] of Object.entries(state.services)) {
    const part = parts.get(service);
    if (!part) continue;
    part.broken.hidden = view.faults === 0;
    part.broken.textContent = view.faults === 0 ? "" : "something goes wrong here";
    if (view.faults === 0 && document.activeElement !== part.choice) part.choice.value = "none";
    // Tables that stayed the same keep their place, so that nobody loses what is being read.
    const seen = JSON.stringify(view.tables);
    if (seen === part.seen) continue;
    part.seen = seen;
    const focus = document.activeElement && part.tables.contains(document.activeElement)
      ? document.activeElement.getAttribute("aria-label") : null;
    const filled = view.tables.filter((table) => table.rows.length > 0);
    part.tables.replaceChildren(...filled.map((table) => tableOf(service, table, part.shown.get(table.title))));
    const none = view.tables.filter((table) => table.rows.length === 0).map((table) => table.title.toLowerCase());
    part.none.textContent = none.length > 0 ? `None yet: ${none.join(", ")}` : "";
    for (const table of view.tables) part.shown.set(table.title, new Set(table.rows.map((row) => row.join("\u0000"))));
    if (focus) {
      for (const region of part.tables.querySelectorAll(".scroll")) {
        if (region.getAttribute("aria-label") === focus) region.focus();
      }
    }
  }
  const latest = document.getElementById("latest");
  latest.replaceChildren(...state.latest.map((one) => {
    const line = make("span", { class: "line" },
      make("time", { text: one.at }), make("strong", { text: one.service }), make("span", { text: one.how }));
    const item = make("li", {}, line, make("span", { text: one.summary }));
    if (one.what) {
      const good = one.status !== null && one.status < 400;
      const status = one.status === null ? "no answer" : String(one.status);
      line.append(make("span", { class: `status ${good ? "good" : "bad"}`, text: status }));
      item.append(make("code", { class: "what", text: one.what }));
    }
    return item;
  }));
  if (state.latest.length === 0) latest.append(make("li", { class: "none", text: "Nothing yet" }));
}

function live(on) {
  document.getElementById("dot").className = on ? "on" : "off";
  document.getElementById("live").textContent = on ? "Live" : "Not connected: trying again";
}

async function watch() {
  let since = 0;
  let mark = "";
  for (;;) {
    try {
      const answer = await fetch(`/state?since=${since}&mark=${encodeURIComponent(mark)}`);
      if (answer.status === 200) {
        const state = await answer.json();
        since = state.version;
        mark = state.mark;
        show(state);
      } else if (answer.status !== 204) {
        throw new Error(String(answer.status));
      }
      live(true);
    } catch {
      live(false);
      since = 0;
      await new Promise((again) => setTimeout(again, 1000));
    }
    // Nobody looks: once in a while is enough.
    if (document.hidden) await new Promise((again) => setTimeout(again, 2000));
  }
}

async function begin() {
  const { services: panels, faults } = await (await fetch("/panels")).json();
  const index = document.getElementById("index");
  for (const panel of panels) {
    index.append(make("a", { href: `#${panel.service}`, text: panel.title }));
    services.append(sectionOf(panel, faults));
  }
  await watch();
}

begin().catch(() => live(false));
