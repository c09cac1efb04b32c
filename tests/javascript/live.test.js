const test = require("node:test");
const assert = require("node:assert");
const { open, press } = require("./browser.js");

const PART = `<span id="live-state"></span><section id="part" data-live="5">
    <table><tr><td><input class="action-select" type="checkbox"><a href="/a000/">a000</a></td><td>WAITING</td></tr>
    <tr><td><a href="/a001/">a001</a></td><td>READY</td></tr></table>
    <details><summary>More</summary>text</details><input id="typed"><p data-live-keep>kept</p><p class="old">words</p>
</section>`;

// The tabs of a browser, which tell each other something.
class Tabs {
    constructor() { this.open = []; }

    join() {
        const tab = new EventTarget();
        tab.postMessage = () => this.open.filter((one) => one !== tab).forEach((one) => one.dispatchEvent(new Event("message")));
        this.open.push(tab);
        return tab;
    }
}

// A page with a part that is kept fresh, and htmx as far as it is asked for anything.
function opened(body = PART, tabs = new Tabs()) {
    const extensions = {}, asked = [];
    const page = open(body, "live", (window) => {
        window.BroadcastChannel = function channel() { return tabs.join(); };
        window.htmx = {
            defineExtension: (name, extension) => { extensions[name] = extension; },
            trigger: (element, name) => asked.push(`${name} of ${element.id}`),
        };
    });
    const { document, window } = page;
    const part = document.getElementById("part");
    const refresh = (change) => {
        const fresh = part.cloneNode(true);
        change(fresh);
        const fragment = document.createDocumentFragment();
        fragment.append(fresh);
        return extensions.morph.handleSwap("morph", part, fragment);
    };
    const answer = (successful, status = 200) => document.dispatchEvent(
        new window.CustomEvent("htmx:afterRequest", { detail: { elt: part, successful, xhr: { status } } }));
    const state = () => document.getElementById("live-state").textContent;
    return { ...page, part, refresh, answer, asked, state, find: (selector) => document.querySelector(selector) };
}

test("what did not change stays, with the focus, what was typed, and what the reader has opened", () => {
    const { document, find, refresh } = opened();
    const [typed, details] = [find("#typed"), find("details")];
    typed.value = "half a wo";
    typed.focus();
    details.open = true;
    refresh((fresh) => {
        fresh.querySelector("details").open = false;
        fresh.querySelector("td:last-child").textContent = "RUNNING";
        fresh.querySelector(".old").className = "new";
    });
    assert.deepStrictEqual([find("#typed"), find("details"), document.activeElement], [typed, details, typed]);
    assert.deepStrictEqual([typed.value, details.open], ["half a wo", true]);
    assert.deepStrictEqual([find("td:last-child").textContent, find(".new").textContent], ["RUNNING", "words"]);
});

test("a selection in a text that did not change stays", () => {
    const { window, find, refresh } = opened();
    const text = find(".old").firstChild;
    window.getSelection().setBaseAndExtent(text, 0, text, 3);
    refresh((fresh) => { fresh.querySelector("td:last-child").textContent = "RUNNING"; });
    assert.strictEqual(String(window.getSelection()), "wor");
});

test("a row is known by the page that it links to, wherever it goes", () => {
    const { document, find, refresh } = opened();
    const row = find(`[href="/a001/"]`).closest("tr");
    refresh((fresh) => {
        const [first, second] = fresh.querySelectorAll("tr");
        first.before(second);
        second.lastElementChild.textContent = "RUNNING";
    });
    assert.strictEqual(document.querySelector("tr"), row);
    assert.strictEqual(row.lastElementChild.textContent, "RUNNING");
    assert.strictEqual(document.querySelectorAll("tr").length, 2);
});

test("what has an id is known by it, wherever it goes", () => {
    const { document, find, refresh } = opened(PART.replace("</table>", `</table><b id="x">x</b><b id="y">y</b>`));
    const y = find("#y");
    refresh((fresh) => fresh.querySelector("#x").before(fresh.querySelector("#y")));
    assert.deepStrictEqual([document.querySelector("b"), y.textContent], [y, "y"]);
});

test("a row that is new comes, one that is gone goes, and no other is touched", () => {
    const { document, find, refresh } = opened();
    const row = find(`[href="/a000/"]`).closest("tr");
    refresh((fresh) => {
        const [, second] = fresh.querySelectorAll("tr");
        const third = second.cloneNode(true);
        third.querySelector("a").href = "/a002/";
        second.replaceWith(third);
    });
    const links = [...document.querySelectorAll("td a")].map((link) => link.getAttribute("href"));
    assert.deepStrictEqual(links, ["/a000/", "/a002/"]);
    assert.strictEqual(find(`[href="/a000/"]`).closest("tr"), row);
});

test("what is marked to be kept stays as it is", () => {
    const { find, refresh } = opened();
    refresh((fresh) => { fresh.querySelector("[data-live-keep]").textContent = "other"; });
    assert.strictEqual(find("[data-live-keep]").textContent, "kept");
});

test("other scripts are told of a refresh", () => {
    const { document, refresh } = opened();
    let times = 0;
    document.addEventListener("portal:refreshed", () => { times += 1; });
    refresh(() => {});
    assert.strictEqual(times, 1);
});

test("an answer without the part changes nothing", () => {
    const { find, refresh } = opened();
    refresh((fresh) => { fresh.id = "another"; fresh.textContent = ""; });
    assert.strictEqual(find(".old").textContent, "words");
});

test("a part asks for itself when its time has come", async () => {
    const { clock, asked, state } = opened();
    assert.strictEqual(state(), "Live");
    await clock.pass(4000);
    assert.deepStrictEqual(asked, []);
    await clock.pass(2000);
    assert.deepStrictEqual(asked, ["live of part"]);
});

test("it waits while rows are chosen, and says so", async () => {
    const { clock, asked, state, find, answer } = opened();
    find(".action-select").checked = true;
    await clock.pass(12_000);
    assert.deepStrictEqual([asked, state()], [[], "Paused while rows are chosen"]);
    find(".action-select").checked = false;
    await clock.pass(6000);
    answer(true);
    assert.deepStrictEqual([asked, state()], [["live of part"], "Live"]);
});

test("a hidden page asks for nothing, and at once when it is seen again", async () => {
    const { window, document, clock, asked } = opened();
    let hidden = true;
    Object.defineProperty(document, "hidden", { get: () => hidden });
    await clock.pass(20_000);
    assert.deepStrictEqual(asked, []);
    hidden = false;
    document.dispatchEvent(new window.Event("visibilitychange"));
    assert.deepStrictEqual(asked, ["live of part"]);
});

// Answers a part that has asked, so many times, and returns after how many seconds it asked again for the last time.
async function wait({ clock, asked, answer }, times, ...answered) {
    let seconds = 0;
    for (let time = 0; time < times; time += 1) {
        const [before, since] = [asked.length, clock.now];
        answer(...answered);
        while (asked.length === before && clock.now - since < 100_000) await clock.pass(100);
        seconds = (clock.now - since) / 1000;
    }
    return seconds;
}

test("what does not change is asked for ever less often, and as before when it has changed", async () => {
    const page = opened();
    await page.clock.pass(5000);
    assert.strictEqual(await wait(page, 1, true, 204), 5.5);
    assert.strictEqual(await wait(page, 20, true, 204), 20);
    assert.strictEqual(await wait(page, 1, true, 200), 5);
});

test("what does not change is asked for as before when somebody is there", async () => {
    const { document, clock, asked, answer } = opened();
    await clock.pass(5000);
    await wait({ clock, asked, answer }, 20, true, 204);
    answer(true, 204);
    press(document.body, "x");
    await clock.pass(5000);
    assert.strictEqual(asked.length, 22);
});

test("what does not change is asked for as before when a form was sent in another tab", async () => {
    const tabs = new Tabs();
    const { clock, asked, answer } = opened(PART, tabs);
    const other = opened(PART, tabs);
    await clock.pass(5000);
    await wait({ clock, asked, answer }, 20, true, 204);
    answer(true, 204);
    other.document.body.dispatchEvent(new other.window.Event("submit", { bubbles: true }));
    await clock.pass(5000);
    assert.strictEqual(asked.length, 22);
});

test("a portal that is away is asked ever less often, and as before once it has answered", async () => {
    const page = opened();
    await page.clock.pass(5000);
    assert.strictEqual(await wait(page, 1, false, 502), 10);
    assert.strictEqual(await wait(page, 9, false, 502), 50);
    assert.strictEqual(await wait(page, 1, true, 200), 5);
});

test("nothing is asked for again before it is answered", async () => {
    const { clock, asked } = opened();
    await clock.pass(60_000);
    assert.deepStrictEqual(asked, ["live of part"]);
});

test("a part says which state it shows, and knows the one that an answer brought", () => {
    const { window, document, part, refresh } = opened(PART.replace("data-live", `data-stamp="one" data-live`));
    const stamp = () => {
        const detail = { elt: part, headers: {} };
        document.dispatchEvent(new window.CustomEvent("htmx:configRequest", { detail }));
        return detail.headers["Portal-Stamp"];
    };
    assert.strictEqual(stamp(), "one");
    refresh((fresh) => { fresh.dataset.stamp = "two"; });
    assert.strictEqual(stamp(), "two");
});

test("a portal that does not answer twice is said to be away, until it answers", () => {
    const { answer, state } = opened();
    answer(false, 502);
    assert.strictEqual(state(), "Live");
    answer(false, 502);
    assert.strictEqual(state(), "Portal not reachable, trying again");
    answer(true);
    answer(false, 502);
    assert.strictEqual(state(), "Live");
});

for (const status of [403, 404]) {
    test(`what answers ${status} is said to be gone`, () => {
        const { answer, state } = opened();
        answer(false, status);
        assert.strictEqual(state(), "This is not there any more");
    });
}

test("a page of which nothing changes says nothing of that", () => {
    const { find } = opened(`<span id="live-state"></span><section id="part"></section>`);
    assert.ok(find("#live-state").hasAttribute("hidden"));
});

test("an answer of another page, as that to sign in, is not shown", () => {
    const { window, document, errors } = opened();
    const answered = (responseURL) => {
        const detail = { xhr: { responseURL }, pathInfo: { requestPath: "/experiments/?q=a" }, shouldSwap: true };
        document.dispatchEvent(new window.CustomEvent("htmx:beforeSwap", { detail }));
        return detail.shouldSwap;
    };
    assert.ok(answered("https://portal.example.org/experiments/?q=a"));
    assert.strictEqual(errors.length, 0);
    assert.ok(!answered("https://portal.example.org/login/?next=/experiments/"));
    assert.match(errors.pop().message, /navigation/); // the page is loaded again, which needs a whole browser
});
