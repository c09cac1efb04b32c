const test = require("node:test");
const assert = require("node:assert");
const { open, press } = require("./browser.js");

const FORM = `<form data-once action="/x"><button type="submit">Do it</button></form>`;
const MENUS = `
    <details data-menu id="one"><summary>One</summary><a href="#">in it</a></details>
    <details data-menu id="two"><summary>Two</summary></details>
    <p id="beside">Beside</p>`;

function submit(document) {
    const { Event } = document.defaultView;
    const event = new Event("submit", { bubbles: true, cancelable: true });
    document.addEventListener("submit", (sent) => { event.wasSent = !sent.defaultPrevented; }, { once: true });
    document.querySelector("form").dispatchEvent(event);
    return event.wasSent;
}

test("a form is sent once however often its button is pressed", async () => {
    const { document, clock } = open(FORM, "page");
    assert.deepStrictEqual([submit(document), submit(document)], [true, false]);
    await clock.pass(0);
    const button = document.querySelector("button");
    assert.ok(button.disabled);
    assert.strictEqual(button.getAttribute("aria-busy"), "true");
});

test("a form without the mark may be sent again", () => {
    const { document } = open(FORM.replace("data-once", ""), "page");
    assert.deepStrictEqual([submit(document), submit(document)], [true, true]);
});

test("the back button finds a form that can be sent again", async () => {
    const { window, document, clock } = open(FORM, "page");
    submit(document);
    await clock.pass(0);
    window.dispatchEvent(new window.Event("pageshow"));
    assert.ok(!document.querySelector("button").disabled);
    assert.ok(!document.querySelector("button").hasAttribute("aria-busy"));
    assert.ok(submit(document));
});

test("a page that answered a form is remembered by its address alone", () => {
    const replaced = [];
    const prepare = (window) => { window.history.replaceState = (...what) => replaced.push(what); };
    open(`<meta name="answers-a-form">`, "page", prepare);
    assert.deepStrictEqual(replaced, [[null, "", "https://portal.example.org/experiments/"]]);
    open("", "page", prepare);
    assert.strictEqual(replaced.length, 1);
});

test("the title and the icon of a tab follow what a live page counts", () => {
    const state = `<link id="page-icon" href="calm.svg"><span id="page-state" data-title="(2) Now" data-icon="alert.svg"></span>`;
    const { document } = open(state, "page");
    document.dispatchEvent(new document.defaultView.Event("portal:refreshed"));
    assert.strictEqual(document.title, "(2) Now");
    assert.strictEqual(document.getElementById("page-icon").getAttribute("href"), "alert.svg");
});

test("a click elsewhere closes the menus, one inside leaves its own open", () => {
    const { document } = open(MENUS, "page");
    const [one, two] = document.querySelectorAll("details");
    one.open = two.open = true;
    one.querySelector("a").click();
    assert.deepStrictEqual([one.open, two.open], [true, false]);
    document.getElementById("beside").click();
    assert.ok(!one.open);
});

test("Escape closes the menus and gives the focus back to the one that had it", () => {
    const { document } = open(MENUS, "page");
    const one = document.getElementById("one");
    one.open = true;
    one.querySelector("a").focus();
    press(one.querySelector("a"), "Escape");
    assert.ok(!one.open);
    assert.strictEqual(document.activeElement, one.querySelector("summary"));
});

test("a button copies what it names and says so for a moment", async () => {
    const copied = [];
    const clipboard = { writeText: (text) => copied.push(text) };
    const body = `<code id="token"> secret </code><button data-copy="#token">Copy</button>`;
    const { document, clock } = open(body, "page", (window) => {
        Object.defineProperty(window.navigator, "clipboard", { value: clipboard });
    });
    const button = document.querySelector("button");
    button.click();
    assert.deepStrictEqual([copied, button.textContent], [["secret"], "Copied"]);
    await clock.pass(1500);
    assert.strictEqual(button.textContent, "Copy");
});

test("good news leaves when it was read, bad news stays", async () => {
    const news = `<ul class="messagelist"><li class="success">Done.</li><li class="error">Not done.</li></ul>`;
    const { document, clock } = open(news, "page");
    await clock.pass(11_000);
    assert.strictEqual(document.querySelectorAll("li").length, 2);
    await clock.pass(2_000);
    assert.deepStrictEqual([...document.querySelectorAll("li")].map((item) => item.className), ["error"]);
});

test("a message goes when it is dismissed", () => {
    const { document } = open(`<ul class="messagelist"><li class="error">Not done.</li><li>Hm.</li></ul>`, "page");
    document.querySelector(".error .dismiss").click();
    assert.deepStrictEqual([...document.querySelectorAll("li")].map((item) => item.firstChild.textContent), ["Hm."]);
});
