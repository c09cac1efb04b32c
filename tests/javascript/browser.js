// A page with some of the portal's scripts, in a browser without a window (jsdom), on a clock that tests move.

const assert = require("node:assert");
const { readFileSync } = require("node:fs");
const path = require("node:path");
const { afterEach } = require("node:test");
const { JSDOM, VirtualConsole } = require("jsdom");

const SCRIPTS = path.join(__dirname, "../../autosubmit_portal/static/portal");
const START = Date.parse("2026-11-25T10:00:00Z");

// What waits for its time, and the time.
class Clock {
    constructor() {
        this.now = START;
        this.waiting = new Map();
        this.last = 0;
    }

    start(work, milliseconds = 0, every = null) {
        this.waiting.set(++this.last, { work, at: this.now + milliseconds, every });
        return this.last;
    }

    stop(number) {
        this.waiting.delete(number);
    }

    // Lets time pass, with all that is due in its order and what that has begun.
    async pass(milliseconds) {
        const until = this.now + milliseconds;
        await settle();
        for (let due = this.due(until); due; due = this.due(until)) {
            const [number, task] = due;
            this.now = Math.max(this.now, task.at);
            if (task.every === null) this.stop(number);
            else task.at += task.every;
            task.work();
            await settle();
        }
        this.now = until;
    }

    due(until) {
        const [first] = [...this.waiting].sort(([, one], [, other]) => one.at - other.at);
        return first && first[1].at <= until ? first : null;
    }

    install(window) {
        window.setTimeout = (work, milliseconds) => this.start(work, milliseconds);
        window.setInterval = (work, milliseconds) => this.start(work, milliseconds, milliseconds);
        window.clearTimeout = window.clearInterval = (number) => this.stop(number);
        window.Date.now = () => this.now;
    }
}

// Lets all promises that can go on do so.
const settle = () => new Promise((resolve) => setImmediate(resolve));

// Of the scripts of this test, and what a browser without a window cannot do. Whoever expects one takes it out.
const errors = [];
afterEach(() => assert.deepStrictEqual(errors.splice(0), []));

// Opens a page with this body and these scripts (page, output …). `prepare` gets the window before they run.
// Returns the window, the document, the clock and `errors`.
function open(body, scripts, prepare = () => {}) {
    const complain = new VirtualConsole().on("jsdomError", (error) => errors.push(error));
    const { window } = new JSDOM(`<!doctype html><body>${body}`, {
        url: "https://portal.example.org/experiments/",
        runScripts: "outside-only",
        pretendToBeVisual: true,
        virtualConsole: complain,
    });
    const clock = new Clock();
    clock.install(window);
    window.Math.random = () => 0.5;
    window.CSS = { escape: (text) => text };
    window.Element.prototype.scrollIntoView = () => {};
    prepare(window);
    for (const name of ["words", ...[scripts].flat()]) {
        const text = readFileSync(path.join(SCRIPTS, `${name}.js`), "utf8");
        window.eval(`(() => { "use strict"; ${text}\n})()`); // as a module, which shares no names with others
    }
    return { window, document: window.document, clock, errors };
}

// Does to an element what a person does.
function type(input, text) {
    input.value = text;
    input.dispatchEvent(new input.ownerDocument.defaultView.Event("input", { bubbles: true }));
}

function press(element, key, more = {}) {
    const { KeyboardEvent } = element.ownerDocument.defaultView;
    const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more });
    element.dispatchEvent(event);
    return event;
}

module.exports = { open, press, settle, type, START };
