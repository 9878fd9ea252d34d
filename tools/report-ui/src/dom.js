// Elements without mark-up: whatever comes from names or error messages becomes text, never HTML.

/** el("p", { class: "note" }, "text", child); attributes that begin with "on" are listeners, null children are left out. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

export const byId = (id) => document.getElementById(id);

/** A labelled selection. options: [[value, text]…]. Its `value` is the option's value, `set` gives it new options. */
export function choice(label, options, value, onchange) {
  const select = el("select", { onchange: () => onchange(select.value) });
  const node = el("label", { class: "choice" }, el("span", {}, label), select);
  const set = (list, chosen) => {
    select.replaceChildren(...list.map(([v, text]) => el("option", { value: v }, text)));
    select.value = list.some(([v]) => String(v) === String(chosen)) ? chosen : (list[0]?.[0] ?? "");
    node.hidden = list.length === 0;
  };
  set(options, value);
  return {
    node,
    set,
    get value() {
      return select.value;
    },
  };
}

export function check(label, checked, onchange) {
  const box = el("input", { type: "checkbox", onchange: () => onchange(box.checked) });
  box.checked = checked;
  return {
    node: el("label", { class: "check" }, box, el("span", {}, label)),
    get checked() {
      return box.checked;
    },
  };
}

export function button(text, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, text);
}

let toastTimer = 0;
export function toast(text) {
  const node = byId("toast");
  node.textContent = text;
  node.classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => node.classList.remove("shown"), 4000);
}

/** Pages opened from a file may be refused the clipboard; the old way still works there. */
export async function copy(text, what) {
  let done = false;
  try {
    await navigator.clipboard.writeText(text);
    done = true;
  } catch {
    const area = el("textarea", { class: "offscreen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    done = document.execCommand("copy");
    area.remove();
  }
  toast(
    done ? `${what} copied` : `The browser does not allow copying; ${what.toLowerCase()} can be marked and copied by hand`,
  );
}
