// The search from everywhere, fields that name an experiment, and the keys. While one types, a field offers what is found
// (a combobox with a list); without this script one types all of it. Single keys are text while one types.

const WAIT_MS = 120;
const NEXT_KEY_MS = 1500;

// Makes a field a combobox: `list` shows what the address in its data-offers answers for the text that is typed.
function combine(field, list) {
    let waiting;
    let asked = 0;
    let chosen = -1;

    const options = () => [...list.querySelectorAll("[role=option]")];

    function choose(number) {
        const all = options();
        chosen = number;
        all.forEach((option, index) => option.setAttribute("aria-selected", String(index === number)));
        if (number < 0) {
            field.removeAttribute("aria-activedescendant");
            return;
        }
        field.setAttribute("aria-activedescendant", all[number].id);
        all[number].scrollIntoView({ block: "nearest" });
    }

    function close() {
        list.hidden = true;
        choose(-1);
        field.setAttribute("aria-expanded", "false");
    }

    function show(html) {
        list.innerHTML = html; // made and escaped by the portal
        options().forEach((option, index) => { option.id = `${field.id}-offer-${index}`; });
        const isEmpty = options().length === 0;
        if (isEmpty) list.textContent = say("Nothing is called so.");
        list.hidden = false;
        choose(-1);
        field.setAttribute("aria-expanded", String(!isEmpty));
    }

    async function ask() {
        const text = field.value.trim();
        const number = ++asked; // an answer that comes late is no answer to what is typed now
        if (!text) {
            close();
            return;
        }
        const answer = await fetch(`${field.dataset.offers}?${new URLSearchParams({ q: text })}`).catch(() => null);
        if (number !== asked || !answer?.ok || answer.redirected) return;
        const html = await answer.text();
        if (number === asked && document.activeElement === field) show(html);
    }

    function move(key) {
        const { length } = options();
        if (list.hidden || !length) return false;
        const next = { ArrowDown: chosen + 1, ArrowUp: chosen < 0 ? length - 1 : chosen - 1 }[key];
        choose(next >= length || next < 0 ? -1 : next); // past the ends is the field itself
        return true;
    }

    function pressed(event) {
        const handled = {
            ArrowDown: () => move("ArrowDown"),
            ArrowUp: () => move("ArrowUp"),
            Enter: () => {
                if (chosen < 0) return false;
                options()[chosen].click();
                return true;
            },
            Escape: () => {
                if (list.hidden) field.blur();
                asked += 1;
                close();
                return true;
            },
        }[event.key];
        if (handled?.()) event.preventDefault();
    }

    // An offer with a value is taken into the field; what else it says, into the fields of the form that are called so.
    function take(event) {
        const option = event.target.closest("[data-value]");
        if (!option) return;
        const { value, ...others } = option.dataset;
        for (const [name, text] of Object.entries(others)) {
            if (text && field.form.elements[name]) field.form.elements[name].value = text;
        }
        field.value = value;
        asked += 1;
        close();
        field.dispatchEvent(new Event("chosen", { bubbles: true }));
    }

    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", say("Found"));
    for (const [name, value] of Object.entries({
        role: "combobox", "aria-expanded": "false", "aria-controls": list.id, "aria-autocomplete": "list",
    })) field.setAttribute(name, value);
    field.addEventListener("input", () => {
        clearTimeout(waiting);
        waiting = setTimeout(ask, WAIT_MS);
    });
    field.addEventListener("keydown", pressed);
    field.addEventListener("focusout", ({ relatedTarget }) => { if (!list.contains(relatedTarget)) close(); });
    list.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
    list.addEventListener("click", take);
}

const field = document.getElementById("go-to");
for (const one of document.querySelectorAll("[data-offers]")) {
    const list = document.getElementById(`${one.id}-offers`);
    if (list) combine(one, list);
}
field?.setAttribute("aria-keyshortcuts", "/ Control+K Meta+K");

const isTyping = (event) => event.target.closest?.("input, textarea, select, [contenteditable]");
let isLed = false;
let leading;

function lead(key) {
    isLed = key === "g";
    clearTimeout(leading);
    if (isLed) leading = setTimeout(() => { isLed = false; }, NEXT_KEY_MS);
}

function search(event) {
    if (!field) return;
    event.preventDefault();
    field.focus();
    field.select();
}

function openDialog(dialog) {
    if (dialog && !dialog.open) dialog.showModal();
}

document.addEventListener("keydown", (event) => {
    if (event.altKey || event.defaultPrevented) return;
    if (event.ctrlKey || event.metaKey) {
        if (event.key === "k") search(event); // no text, so it means the same in every field
        return;
    }
    if (isTyping(event) || document.querySelector("dialog[open]")) return;
    if (isLed) document.querySelector(`[data-go="${CSS.escape(event.key)}"]`)?.click();
    if (event.key === "/") search(event);
    if (event.key === "?") openDialog(document.getElementById("keys"));
    lead(isLed ? "" : event.key);
});

document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-open]");
    if (opener) openDialog(document.querySelector(opener.dataset.open));
});

// Arrows go through the entries of an open menu.
document.addEventListener("keydown", (event) => {
    const menu = event.target.closest?.("details[data-menu][open]");
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!menu || !step || isTyping(event)) return;
    event.preventDefault();
    const entries = [...menu.querySelectorAll(".menu-list :is(a, button)")];
    const at = entries.indexOf(document.activeElement);
    entries.at(at < 0 && step < 0 ? -1 : (at + step) % entries.length)?.focus();
});
