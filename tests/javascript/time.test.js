const test = require("node:test");
const assert = require("node:assert");
const { open, START } = require("./browser.js");

const at = (seconds) => new Date(START + 1000 * seconds).toISOString();

function shown(attribute, seconds) {
    const { document } = open(`<time ${attribute}="${at(seconds)}" data-relative>as the server said</time>`, "time");
    return document.querySelector("time").textContent;
}

for (const [seconds, text] of [
    [0, "just now"], [-4, "just now"], [4, "just now"], [-5, "5 s ago"], [-59, "59 s ago"], [-60, "1 min ago"],
    [-3599, "59 min ago"], [-3600, "1 h ago"], [-86399, "23 h ago"], [-86400, "1 d ago"], [90, "in 1 min"],
    [7200, "in 2 h"],
]) {
    test(`${seconds} s from now reads “${text}”`, () => assert.strictEqual(shown("datetime", seconds), text));
}

test("a time of more than a month ago stays as the server said", () => {
    assert.strictEqual(shown("datetime", -2_592_000), "as the server said");
});

for (const [seconds, text] of [
    [0, "0 s"], [-59, "59 s"], [-61, "1 min 01 s"], [-3660, "1 h 01 min"], [-90_000, "1 d 01 h"], [10, "0 s"],
]) {
    test(`a clock that began ${seconds} s from now shows ${text}`, () => {
        const { document } = open(`<span data-since="${at(seconds)}"></span>`, "time");
        assert.strictEqual(document.querySelector("span").textContent, text);
    });
}

test("times and clocks go on by themselves", async () => {
    const body = `<time datetime="${at(0)}" data-relative></time><span data-since="${at(0)}"></span>`;
    const { document, clock } = open(body, "time");
    await clock.pass(61_000);
    assert.strictEqual(document.querySelector("time").textContent, "1 min ago");
    assert.strictEqual(document.querySelector("span").textContent, "1 min 01 s");
});

test("what a refresh has brought is right at once", () => {
    const { window, document } = open("", "time");
    document.body.innerHTML = `<time datetime="${at(-120)}" data-relative></time>`;
    document.dispatchEvent(new window.Event("portal:refreshed"));
    assert.strictEqual(document.querySelector("time").textContent, "2 min ago");
});

test("a text that is right is not written again, so that a selection in it stays", async () => {
    const { document, clock } = open(`<time datetime="${at(-3600)}" data-relative>1 h ago</time>`, "time");
    const node = document.querySelector("time").firstChild;
    await clock.pass(5_000);
    assert.strictEqual(document.querySelector("time").firstChild, node);
});
