// Keeps parts of a page fresh: an element with data-live="seconds" asks its page whether it has changed since its
// data-stamp (htmx). 204 means no; otherwise the part comes with a new stamp and is morphed into what is there: nodes
// that did not change stay, and with them focus, selection and scroll.

const UNREACHABLE_AFTER = 2;
const SLOWEST = 4; // times the seconds: a part that has not changed for long, while nobody does anything
const SLOWEST_UNREACHABLE = 10;
const SLOWER_BY = 1.1;
const indicator = document.getElementById("live-state");
let failures = 0;

const keyOf = (node) => {
    if (node.nodeType !== Node.ELEMENT_NODE) return null;
    if (node.id) return `#${node.id}`;
    if (node.dataset.key) return node.dataset.key;
    // A row of a list is known by the page that it links to.
    return node.tagName === "TR" ? node.querySelector("a[href]")?.getAttribute("href") ?? null : null;
};

const isAlike = (old, fresh) =>
    old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && keyOf(old) === keyOf(fresh);

function morphAttributes(old, fresh) {
    for (const { name, value } of [...fresh.attributes]) {
        if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) {
        // What the reader opened stays open.
        if (!fresh.hasAttribute(name) && !(name === "open" && old.tagName === "DETAILS")) old.removeAttribute(name);
    }
}

function morphChildren(old, fresh) {
    const keyed = new Map();
    for (const child of old.childNodes) {
        const key = keyOf(child);
        if (key !== null) keyed.set(key, child);
    }
    let next = old.firstChild;
    for (const wanted of [...fresh.childNodes]) {
        const key = keyOf(wanted);
        let match = key === null ? null : keyed.get(key);
        if (match && match.nodeName !== wanted.nodeName) match = null;
        if (!match && key === null && next && isAlike(next, wanted)) match = next;
        if (!match) {
            old.insertBefore(wanted, next);
            continue;
        }
        if (match === next) next = next.nextSibling;
        else old.insertBefore(match, next);
        morph(match, wanted);
    }
    while (next) {
        const gone = next;
        next = next.nextSibling;
        gone.remove();
    }
}

function morph(old, fresh) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
        if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
        return;
    }
    if (old.hasAttribute("data-live-keep") || old.isEqualNode(fresh)) return;
    if (!old.hasAttribute("data-live")) morphAttributes(old, fresh);
    morphChildren(old, fresh);
}

htmx.defineExtension("morph", {
    isInlineSwap: (style) => style === "morph",
    handleSwap(style, target, fragment) {
        if (style !== "morph") return false;
        const fresh = fragment.querySelector(`#${CSS.escape(target.id)}`);
        if (fresh) {
            morph(target, fresh);
            target.dataset.stamp = fresh.dataset.stamp;
            document.dispatchEvent(new Event("portal:refreshed"));
        }
        return [target];
    },
});

function show(state, text) {
    if (!indicator || indicator.dataset.state === state) return;
    indicator.dataset.state = state;
    indicator.textContent = text;
}

// Rows must not move under the pointer of somebody who is choosing some of them.
const isHeld = (element) => element.querySelector("input.action-select:checked") !== null;

class Part {
    constructor(element) {
        this.element = element;
        this.pace = 1;
        this.isAsking = false;
        this.plan();
    }

    // Tabs that were opened together do not ask together.
    plan() {
        clearTimeout(this.timer);
        const seconds = Number(this.element.dataset.live) * this.pace;
        this.timer = setTimeout(() => this.tick(), 1000 * seconds * (0.85 + 0.3 * Math.random()));
    }

    // A hidden tab does not ask; it does at once when it is seen again.
    tick() {
        if (this.isAsking || document.hidden) return;
        if (isHeld(this.element)) {
            show("paused", say("Paused while rows are chosen"));
            this.plan();
            return;
        }
        this.isAsking = true;
        htmx.trigger(this.element, "live");
    }

    answered(pace) {
        this.isAsking = false;
        this.pace = pace;
        this.plan();
    }

    // Somebody is there.
    hurry() {
        if (this.pace === 1 || this.isAsking) return;
        this.pace = 1;
        this.plan();
    }
}

const parts = new Map();

function start() {
    for (const element of document.querySelectorAll("[data-live]")) parts.set(element, new Part(element));
    const all = (work) => () => parts.forEach(work);
    document.addEventListener("visibilitychange", all((part) => part.tick()));
    for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, all((part) => part.hurry()), true);
    // Nor is a tab slow after something was asked for in another one.
    const tabs = new BroadcastChannel("portal");
    tabs.addEventListener("message", all((part) => part.hurry()));
    document.addEventListener("submit", () => tabs.postMessage("submit"));
    if (parts.size) show("live", say("Live"));
    else indicator?.setAttribute("hidden", "");
}

document.addEventListener("htmx:configRequest", (event) => {
    const { elt, headers } = event.detail;
    if (elt.dataset.stamp) headers["Portal-Stamp"] = elt.dataset.stamp;
});
document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr } = event.detail;
    if (xhr.responseURL && new URL(xhr.responseURL).pathname !== new URL(event.detail.pathInfo.requestPath, location).pathname) {
        event.detail.shouldSwap = false;
        location.reload(); // signed out meanwhile: the page asks to sign in and comes back
    }
});
document.addEventListener("htmx:afterRequest", (event) => {
    const { elt, successful, xhr } = event.detail;
    const part = parts.get(elt);
    if (successful) {
        failures = 0;
        show("live", say("Live"));
        part?.answered(xhr.status === 204 ? Math.min(SLOWEST, part.pace * SLOWER_BY) : 1);
        return;
    }
    part?.answered(Math.min(SLOWEST_UNREACHABLE, part.pace * 2));
    if (xhr?.status === 404 || xhr?.status === 403) {
        show("lost", say("This is not there any more"));
    } else {
        failures += 1;
        if (failures >= UNREACHABLE_AFTER) show("lost", say("Portal not reachable, trying again"));
    }
});

start();
