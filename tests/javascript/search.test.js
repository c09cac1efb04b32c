const test = require("node:test");
const assert = require("node:assert");
const { open, press, settle, type } = require("./browser.js");

const PAGE = `
    <a href="/experiments/" data-go="e">Experiments</a><textarea></textarea>
    <form><input id="go-to" data-offers="/search/offers/"><div id="go-to-offers" hidden></div></form>
    <details data-menu open><summary>Menu</summary><div class="menu-list"><a href="#1">1</a><a href="#2">2</a></div></details>
    <dialog id="keys"></dialog><button data-open="#keys">Keys</button>`;
const OFFERS = `<a role="option" href="#a000">a000</a><a role="option" href="#a001">a001</a>`;

// Opens the page; `asked` are the texts that were looked for, each answered by `answer`, `visited` what was opened.
function prepare(answer = () => OFFERS) {
    const asked = [], visited = [];
    const page = open(PAGE, "search", (window) => {
        window.fetch = async (address) => {
            asked.push(address);
            const html = await answer(address);
            return { ok: true, redirected: false, text: async () => html };
        };
        window.HTMLDialogElement.prototype.showModal = function () { this.open = true; };
    });
    page.document.addEventListener("click", (event) => {
        if (event.target.matches("a")) visited.push(event.target.getAttribute("href"));
    });
    const field = page.document.getElementById("go-to");
    return { ...page, field, list: page.document.getElementById("go-to-offers"), asked, visited };
}

async function look({ field, clock }, text) {
    field.focus();
    type(field, text);
    await clock.pass(200);
    await settle();
}

test("what is typed is looked for when one has stopped typing", async () => {
    const page = prepare();
    page.field.focus();
    type(page.field, "a");
    await page.clock.pass(50);
    await look(page, "a0&");
    assert.deepStrictEqual(page.asked, ["/search/offers/?q=a0%26"]);
    assert.ok(!page.list.hidden);
    assert.strictEqual(page.field.getAttribute("aria-expanded"), "true");
});

test("arrows choose an offer, and Enter opens it", async () => {
    const page = prepare();
    await look(page, "a0");
    press(page.field, "ArrowDown");
    press(page.field, "ArrowDown");
    assert.strictEqual(page.field.getAttribute("aria-activedescendant"), "go-to-offer-1");
    assert.ok(press(page.field, "Enter").defaultPrevented);
    assert.deepStrictEqual(page.visited, ["#a001"]);
});

test("past the ends is the field itself, where Enter sends the form", async () => {
    const page = prepare();
    await look(page, "a0");
    press(page.field, "ArrowUp");
    assert.strictEqual(page.field.getAttribute("aria-activedescendant"), "go-to-offer-1");
    press(page.field, "ArrowDown");
    assert.ok(!page.field.hasAttribute("aria-activedescendant"));
    assert.ok(!press(page.field, "Enter").defaultPrevented);
});

test("Escape closes the offers, then leaves the field", async () => {
    const page = prepare();
    await look(page, "a0");
    press(page.field, "Escape");
    assert.ok(page.list.hidden);
    assert.strictEqual(page.document.activeElement, page.field);
    press(page.field, "Escape");
    assert.notStrictEqual(page.document.activeElement, page.field);
});

test("an answer that comes late is not shown", async () => {
    let release;
    const late = new Promise((resolve) => { release = resolve; });
    const page = prepare((address) => (address.endsWith("slow") ? late : OFFERS));
    await look(page, "slow");
    await look(page, "a0");
    release("<a role=option>late</a>");
    await settle();
    assert.match(page.list.textContent, /a000/);
});

test("that nothing is found is said", async () => {
    const page = prepare(() => " ");
    await look(page, "zzzz");
    assert.match(page.list.textContent, /Nothing/);
    assert.strictEqual(page.field.getAttribute("aria-expanded"), "false");
});

test("a slash, Ctrl-K and Cmd-K go to the search", () => {
    for (const [key, more] of [["/", {}], ["k", { ctrlKey: true }], ["k", { metaKey: true }]]) {
        const { document, field } = prepare();
        assert.ok(press(document.body, key, more).defaultPrevented);
        assert.strictEqual(document.activeElement, field);
    }
});

test("Ctrl-K and Cmd-K go to the search while one types elsewhere too", () => {
    for (const more of [{ ctrlKey: true }, { metaKey: true }]) {
        const { document, field } = prepare();
        const other = document.querySelector("textarea");
        other.focus();
        assert.ok(press(other, "k", more).defaultPrevented);
        assert.strictEqual(document.activeElement, field);
    }
});

test("g and a letter go to a page, if the letter comes soon", async () => {
    const { document, clock, visited } = prepare();
    press(document.body, "g");
    await clock.pass(2_000);
    press(document.body, "e");
    assert.deepStrictEqual(visited, []);
    press(document.body, "g");
    press(document.body, "e");
    assert.deepStrictEqual(visited, ["/experiments/"]);
});

test("a question mark and a button show the keys", () => {
    for (const ask of [(document) => press(document.body, "?"), (document) => document.querySelector("button").click()]) {
        const { document } = prepare();
        ask(document);
        assert.ok(document.getElementById("keys").open);
    }
});

test("single keys are text while one types, and the keys of the browser are left to it", () => {
    const { document, visited } = prepare();
    const field = document.querySelector("textarea");
    for (const key of ["/", "?", "g", "e", "k"]) assert.ok(!press(field, key).defaultPrevented);
    assert.ok(!press(field, "g", { ctrlKey: true }).defaultPrevented);
    assert.ok(!press(document.body, "/", { ctrlKey: true }).defaultPrevented);
    assert.deepStrictEqual([visited, document.getElementById("keys").open], [[], false]);
});

test("arrows go through the entries of an open menu", () => {
    const { document } = prepare();
    const menu = document.querySelector("details");
    const [first, second] = menu.querySelectorAll("a");
    press(menu.querySelector("summary"), "ArrowDown");
    assert.strictEqual(document.activeElement, first);
    press(first, "ArrowUp");
    assert.strictEqual(document.activeElement, second);
});

test("an offer with a value is taken into its field, and what else it says into fields of the form", async () => {
    const { document, ...page } = open(`<form><input name="hpc">
        <input id="copy" name="copy" data-offers="/offers/"><div id="copy-offers" hidden></div></form>`, "search", (window) => {
        const html = `<div role="option" data-value="a001" data-hpc="MN5" data-other="x">a001</div>`;
        window.fetch = async () => ({ ok: true, redirected: false, text: async () => html });
    });
    const field = document.getElementById("copy");
    let told = 0;
    document.querySelector("form").addEventListener("chosen", () => { told += 1; });
    await look({ field, clock: page.clock }, "a0");
    press(field, "ArrowDown");
    press(field, "Enter");
    assert.deepStrictEqual([field.value, document.querySelector("[name=hpc]").value, told], ["a001", "MN5", 1]);
    assert.ok(document.getElementById("copy-offers").hidden);
});
