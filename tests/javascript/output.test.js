const test = require("node:test");
const assert = require("node:assert");
const { open, settle, type } = require("./browser.js");

const SEARCH = `
    <form data-output-search><input name="search"><input type="checkbox" name="exact">
    <button type="button" data-search-previous>Previous</button><span data-search-said></span></form>`;
const BOX = `
    <div data-output="/output/7" data-start="0" data-end="4">
        ${SEARCH}<span data-output-note></span><button data-output-earlier hidden>Earlier</button>
        <button data-output-later hidden>Later</button><button data-output-end>End</button><pre>one\n</pre>
    </div>`;

const piece = (html, start, end, more = {}) => ({ html, start, end, shown: end, size: end, is_over: false, ...more });

// A page with an output, and a portal that answers what it is given, in turn: pieces, null for 204, Error for a failure.
function opened(answers, body = BOX) {
    const asked = [], stamps = [];
    const page = open(body, "output", (window) => {
        window.fetch = async (address, { headers }) => {
            asked.push(address);
            stamps.push(headers["Portal-Stamp"]);
            const answer = answers.length > 1 ? answers.shift() : answers[0];
            const { redirected = false, stamp, ...said } = (await answer) ?? {};
            return {
                ok: !(answer instanceof Error), status: answer === null ? 204 : 200, redirected,
                statusText: "Bad Gateway", headers: new Map(stamp ? [["Portal-Stamp", stamp]] : []), json: async () => said,
            };
        };
        Object.defineProperties(window.HTMLPreElement.prototype, {
            scrollHeight: { configurable: true, get() { return 20 * this.textContent.split("\n").length + 1000; } },
            clientHeight: { configurable: true, value: 500 },
        });
    });
    const find = (selector) => page.document.querySelector(selector);
    return { ...page, asked, stamps, find, box: find("[data-output]"), screen: find("pre") };
}

const NOTHING = piece("", 0, 4);

test("an output grows by what is new, and its size is told", async () => {
    const { clock, screen, find, asked } = opened([NOTHING, piece("two\n", 4, 8, { size: 1234567, shown: 1234567 }), NOTHING]);
    await clock.pass(1000);
    assert.strictEqual(screen.textContent, "one\ntwo\n");
    assert.strictEqual(find("[data-output-note]").textContent, "1,234,567 bytes");
    assert.deepStrictEqual(asked.slice(0, 2), ["/output/7?after=4", "/output/7?after=4"]);
    await clock.pass(1000);
    assert.strictEqual(asked[2], "/output/7?after=8");
});

test("its size is written as the language of the page does", async () => {
    const { clock, document, find } = opened([NOTHING, piece("two\n", 4, 8, { size: 1234567, shown: 1234567 }), NOTHING]);
    document.documentElement.lang = "es";
    await clock.pass(1000);
    assert.strictEqual(find("[data-output-note]").textContent, "1.234.567 bytes");
});

test("what is left is fetched at once, without waiting for the next look", async () => {
    const { clock, screen } = opened([piece("two\n", 4, 8, { size: 12 }), piece("three\n", 8, 14)]);
    await clock.pass(60);
    assert.strictEqual(screen.textContent, "one\ntwo\nthree\n");
});

test("the beginning of a line is replaced by the line", async () => {
    const unfinished = `<span data-output-unfinished>tw</span>`;
    const { clock, screen } = opened([piece(unfinished, 4, 4, { size: 6 }), piece("two\n", 4, 8), piece("", 4, 8)]);
    await settle();
    assert.strictEqual(screen.textContent, "one\ntw");
    await clock.pass(1000);
    assert.strictEqual(screen.textContent, "one\ntwo\n");
});

test("a file that another has taken the place of is shown from its beginning", async () => {
    const { clock, screen } = opened([piece("new\n", 0, 4, { is_reset: true, file: "b" }), piece("", 0, 4, { file: "b" })]);
    await clock.pass(10);
    assert.strictEqual(screen.textContent, "new\n");
});

test("the file that is shown is named when more of it is asked for", async () => {
    const { asked } = opened([NOTHING], BOX.replace("data-start", `data-file="fe-1" data-start`));
    await settle();
    assert.strictEqual(asked[0], "/output/7?after=4&file=fe-1");
});

test("an output that is over is not asked for any more", async () => {
    const { clock, asked } = opened([piece("two\n", 4, 8, { is_over: true })]);
    await clock.pass(60_000);
    assert.strictEqual(asked.length, 1);
});

test("an output that was over when the page was made is never asked for", async () => {
    const { clock, asked } = opened([NOTHING], BOX.replace("data-start", `data-over="true" data-start`));
    await clock.pass(60_000);
    assert.strictEqual(asked.length, 0);
});

test("a portal that does not answer, or sends to another page, is asked less often and then followed again", async () => {
    const page = { ...piece("Sign in", 4, 8), redirected: true };
    const { clock, asked, screen } = opened([new Error(), page, piece("two\n", 4, 8), piece("", 4, 8)]);
    await clock.pass(4999);
    assert.strictEqual(asked.length, 1);
    await clock.pass(5001);
    assert.strictEqual(screen.textContent, "one\ntwo\n");
});

test("while nothing is written it is asked for less often, with the stamp of what is shown", async () => {
    const { clock, asked, stamps } = opened([{ ...NOTHING, stamp: "one" }, null]);
    await clock.pass(60_000);
    assert.deepStrictEqual(stamps.slice(0, 3), ["", "one", "one"]);
    const before = asked.length;
    await clock.pass(30_000);
    assert.strictEqual(asked.length - before, 10);
});

test("what is folded away or hidden is not asked for", async () => {
    const { clock, asked, find } = opened([NOTHING], `<details>${BOX}</details>`);
    await clock.pass(5000);
    assert.strictEqual(asked.length, 0);
    find("details").open = true;
    await clock.pass(1000);
    assert.strictEqual(asked.length, 1);
});

test("an output that was taken out of the page is left", async () => {
    const { clock, asked, box } = opened([NOTHING]);
    await clock.pass(10);
    box.remove();
    await clock.pass(60_000);
    assert.strictEqual(asked.length, 2);
});

test("it scrolls along with the end until the reader scrolls up, and again when they go to the end", async () => {
    const { window, clock, screen, box, find } = opened([NOTHING, piece("two\n", 4, 8), piece("three\n", 8, 14), piece("", 8, 14)]);
    await clock.pass(1000);
    assert.strictEqual(screen.scrollTop, screen.scrollHeight);
    screen.scrollTop = 100;
    screen.dispatchEvent(new window.Event("scroll"));
    await clock.pass(2000);
    assert.strictEqual(screen.textContent, "one\ntwo\nthree\n");
    assert.deepStrictEqual([screen.scrollTop, box.classList.contains("is-behind")], [100, true]);
    find("[data-output-end]").click();
    await settle();
    assert.deepStrictEqual([screen.scrollTop, box.classList.contains("is-behind")], [screen.scrollHeight, false]);
});

test("what is earlier comes before what is there, which stays where it is", async () => {
    const answers = [piece("", 4, 8), piece("zero\n", 0, 8), piece("", 4, 8)];
    const { screen, find, asked } = opened(answers, BOX.replace(`data-start="0" data-end="4"`, `data-start="4" data-end="8"`));
    await settle();
    assert.ok(!find("[data-output-earlier]").hidden);
    const [height, place] = [screen.scrollHeight, screen.scrollTop];
    find("[data-output-earlier]").click();
    await settle();
    assert.strictEqual(asked.at(-1), "/output/7?before=4");
    assert.strictEqual(screen.textContent, "zero\none\n");
    assert.strictEqual(screen.scrollTop - place, screen.scrollHeight - height);
    assert.ok(find("[data-output-earlier]").hidden);
});

test("what is earlier of another file is not put before this one", async () => {
    const other = piece("new\n", 0, 4, { is_reset: true });
    const { screen, find } = opened([NOTHING, other, NOTHING], BOX.replace(`data-start="0"`, `data-start="2"`));
    await settle();
    find("[data-output-earlier]").click();
    await settle();
    assert.strictEqual(screen.textContent, "new\n");
});

test("a page that follows for days keeps the newest part, from a whole line on", async () => {
    const line = `${"x".repeat(96)}\n`;
    const { clock, screen } = opened([piece(line.repeat(20_700), 4, 2_000_104), piece("", 4, 2_000_104)]);
    await clock.pass(10);
    assert.ok(screen.textContent.length <= 1_000_000);
    assert.ok(screen.textContent.startsWith(line));
    assert.ok(screen.textContent.endsWith(line));
});

// --- Search

const match = (offset, line) => ({ offset, line, length: 3 });
const found = (matches, more = {}) => ({ matches, next_offset: 100, next_line: 10, size: 100, is_complete: true, ...more });

function searching(answers) {
    const page = opened([NOTHING, ...answers]);
    const form = page.find("form");
    const go = async () => {
        form.dispatchEvent(new page.window.Event("submit", { bubbles: true, cancelable: true }));
        await settle();
    };
    const back = async () => {
        page.find("[data-search-previous]").click();
        await settle();
    };
    return { ...page, go, back, text: (text) => type(form.elements.search, text), said: () => page.find("[data-search-said]").textContent };
}

const around = (html, more = {}) => piece(html, 20, 40, { size: 100, ...more });

test("a search goes from match to match, both ways, and round", async () => {
    const { go, back, text, said, asked, screen } = searching([
        found([match(20, 3), match(60, 7)]), around("<mark>two</mark>"), around("<mark>six</mark>"), around("<mark>two</mark>"),
    ]);
    await settle();
    text("wo");
    await go();
    assert.strictEqual(said(), "1 of 2, line 3");
    assert.strictEqual(screen.textContent, "two");
    assert.deepStrictEqual(asked.slice(-2), [
        "/output/7?search=wo&offset=0&line=1&ignore_case=1", "/output/7?at=20&length=3",
    ]);
    await go();
    assert.strictEqual(said(), "2 of 2, line 7");
    await go();
    assert.strictEqual(said(), "1 of 2, line 3");
    await back();
    assert.strictEqual(said(), "2 of 2, line 7");
});

test("a place before the end is shown alone, is not followed, and its way back is offered", async () => {
    const { go, text, clock, asked, find, box, screen } = searching([
        found([match(20, 3)]), around("<mark>two</mark>", { shown: 40 }), piece("last\n", 96, 100, { size: 100 }),
    ]);
    await settle();
    text("two");
    await go();
    assert.ok(!find("[data-output-later]").hidden);
    assert.strictEqual(find("[data-output-note]").textContent, "100 bytes, at 20 %");
    const before = asked.length;
    await clock.pass(10_000);
    assert.strictEqual(asked.length, before);
    find("[data-output-end]").click();
    await settle();
    assert.strictEqual(asked.at(-1), "/output/7?");
    assert.deepStrictEqual([screen.textContent, box.classList.contains("is-behind")], ["last\n", false]);
});

test("a long output is searched piece by piece until there is a match", async () => {
    const { go, text, said, asked } = searching([
        found([], { is_complete: false, next_offset: 50, next_line: 5 }), found([match(60, 7)]), around("x"),
    ]);
    await settle();
    text("x");
    await go();
    assert.ok(asked.includes("/output/7?search=x&offset=50&line=5&ignore_case=1"));
    assert.strictEqual(said(), "1 of 1, line 7");
});

test("letters count as they are typed only when that is wanted", async () => {
    const { go, text, find, asked } = searching([found([])]);
    await settle();
    find("form").elements.exact.checked = true;
    text("X");
    await go();
    assert.strictEqual(asked.at(-1), "/output/7?search=X&offset=0&line=1");
});

test("what is nowhere is said, and so is a portal that cannot search now", async () => {
    const { go, text, said } = searching([found([]), new Error()]);
    await settle();
    text("x");
    await go();
    assert.strictEqual(said(), "Not found");
    text("y");
    assert.strictEqual(said(), "");
    await go();
    assert.strictEqual(said(), "Cannot be searched now");
});

// An answer that comes when it is told to.
function later() {
    let come;
    const answer = new Promise((resolve) => { come = resolve; });
    return { answer, come: async (what) => { come(what); await settle(); } };
}

test("matches of a text that is not looked for any more are left", async () => {
    const { answer, come } = later();
    const { go, text, said, screen } = searching([answer, around("<mark>old</mark>")]);
    await settle();
    text("old");
    await go();
    text("new");
    await come(found([match(20, 3)]));
    assert.deepStrictEqual([said(), screen.textContent], ["", "one\n"]);
});

test("what was under way when the reader went elsewhere is not added there", async () => {
    const { answer, come } = later();
    const { clock, go, text, screen } = searching([answer, found([match(20, 3)]), around("<mark>two</mark>", { shown: 40 })]);
    await clock.pass(1000);
    text("two");
    await go();
    await come(piece("at the end\n", 4, 15));
    assert.strictEqual(screen.textContent, "two");
});

test("no text is not searched for", async () => {
    const { go, asked } = searching([found([])]);
    await settle();
    await go();
    assert.strictEqual(asked.length, 1);
});

test("an output that a refresh has brought is followed, and one that was there is not followed twice", async () => {
    const { window, document, clock, asked } = opened([NOTHING], "<main></main>");
    document.querySelector("main").innerHTML = BOX;
    document.dispatchEvent(new window.Event("portal:refreshed"));
    document.dispatchEvent(new window.Event("portal:refreshed"));
    await clock.pass(900);
    assert.strictEqual(asked.length, 1);
});

test("a click that finds nothing says so, and may be tried again", async () => {
    const { find, screen } = opened([NOTHING, new Error(), piece("zero\n", 0, 4)], BOX.replace('data-start="0"', 'data-start="2"'));
    await settle();
    find("[data-output-earlier]").click();
    await settle();
    assert.strictEqual(find("[data-output-note]").textContent, "Cannot be read now. Try again.");
    find("[data-output-earlier]").click();
    await settle();
    assert.strictEqual(screen.textContent, "zero\none\n");
    assert.strictEqual(find("[data-output-note]").textContent, "4 bytes");
});
