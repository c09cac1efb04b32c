const test = require("node:test");
const assert = require("node:assert");
const { open, press, settle } = require("./browser.js");

const PAGE = `<div data-picture="/grid/data/" data-jobs="/experiments/a000/jobs/" data-axis="">
    <button data-zoom="in">+</button><button data-zoom="all">All</button>
    <button data-choosing aria-pressed="false">Choose jobs</button>
    <form data-chosen hidden><input type="hidden" name="selection"><b data-count></b>
        <button type="button" data-clear>Clear</button></form>
    <canvas></canvas><p class="picture-told"></p></div>`;
const NARROW = { width: 600, height: 120 };
const GUTTER = 60, HEAD = 22; // the names of section and row, and the line of the chunks

// Two members with three chunks: boxes of 30 by 20 pixels.
function grid(more = {}) {
    return {
        cell: [30, 20], ids: [11, 1, 1, 1, 1, 1], names: ["a1", "a2", "a3", "b1", "b2", "b3"], status: "CFWRWW",
        x: [0, 1, 2, 0, 1, 2], y: [0, 0, 0, 1, 1, 1], width: [1], height: [1], waits: [],
        rows: [["fc0", 0, 1], ["fc1", 1, 1]], groups: [["SIM", 0, 2]], columns: [["1", 0, 1], ["2", 1, 1], ["3", 2, 1]],
        spans: [], parents: [0, 1, 1, 1, 1, 0, 1, 1, 1, 1], origin: null, epoch: 1767225600,
        submitted: [0, 60, null, 30, null, null], queued: [60, 60, null, 90, null, null],
        ran: [120, 30, null, null, null, null], seen: [], ...more,
    };
}

// A canvas that keeps what was drawn on it.
function pretendCanvas(window, drawn) {
    const context = new Proxy({}, {
        get: (kept, name) => name in kept ? kept[name] : name === "measureText" ? (text) => ({ width: 6 * text.length })
            : (...given) => drawn.push([name, kept.fillStyle, ...given]),
    });
    const { prototype } = window.HTMLCanvasElement;
    prototype.getContext = () => context;
    prototype.getBoundingClientRect = () => ({ left: 0, top: 0, ...NARROW });
    Object.defineProperty(window.HTMLElement.prototype, "clientWidth", { get: () => NARROW.width });
}

async function opened(told = grid(), body = PAGE) {
    const drawn = [], asked = [], visited = [];
    const answers = [told];
    const page = open(body, "picture", (window) => {
        pretendCanvas(window, drawn);
        window.fetch = async (address) => {
            asked.push(address);
            const answer = answers.length > 1 ? answers.shift() : answers[0];
            return { ok: answer !== null, redirected: false, statusText: "no", json: async () => answer };
        };
        window.requestAnimationFrame = (work) => window.setTimeout(work, 16);
        window.matchMedia = () => ({ addEventListener() {} });
        window.document.addEventListener("click", (event) => {
            const link = event.target.closest("a");
            if (link) visited.push([link.getAttribute("href"), link.target]);
            if (link) event.preventDefault();
        });
    });
    await settle();
    const { document, window, clock } = page, canvas = document.querySelector("canvas");
    const point = (name, x, y, more = {}) => {
        const Kind = name === "wheel" ? window.WheelEvent : window.MouseEvent;
        const event = new Kind(name, { clientX: x, clientY: y, button: 0, bubbles: true, cancelable: true, ...more });
        Object.defineProperty(event, "pointerId", { value: more.pointerId ?? 1 });
        canvas.dispatchEvent(event);
        return event;
    };
    const click = (x, y, more) => { point("pointerdown", x, y, more); point("pointerup", x, y, more); };
    const drag = (x, y, toX, toY, more) => {
        point("pointerdown", x, y, more);
        point("pointermove", toX, toY, more);
        point("pointerup", toX, toY, more);
    };
    const find = (selector) => document.querySelector(selector);
    const boxes = async () => { // that are drawn now, without the ground
        drawn.length = 0;
        await clock.pass(1000);
        return drawn.filter(([name, color]) => name === "fillRect").slice(1);
    };
    return {
        ...page, drawn, asked, answers, visited, canvas, point, click, drag, find, boxes,
        told: () => find(".picture-told").textContent, chosen: () => find("[name=selection]").value,
    };
}

// The middle of the box in a column and a row.
const at = (column, row) => [GUTTER + 30 * column + 15, HEAD + 20 * row + 10];

test("jobs are drawn, those of one status with one colour", async () => {
    const { drawn, asked, canvas } = await opened();
    assert.deepStrictEqual(asked, ["/grid/data/"]);
    assert.strictEqual(canvas.dataset.jobs, "6");
    const letters = drawn.filter(([name]) => name === "fillText").map(([, , text]) => text);
    for (const letter of ["C", "F", "R", "W", "SIM", "fc1", "1"]) assert.ok(letters.includes(letter), letter);
});

test("a picture that does not come is told of", async () => {
    const { told } = await opened(null);
    assert.match(told(), /cannot be loaded/);
});

test("the pointer is told the job below it, with its times", async () => {
    const { point, find } = await opened();
    point("pointermove", ...at(0, 0));
    const tip = find(".picture-tip");
    assert.strictEqual(tip.textContent, "a1 · COMPLETED · submitted 2026-01-01 00:00 UTC · waited 1 min 00 s · ran 2 min 00 s");
    assert.strictEqual(tip.hidden, false);
    point("pointermove", 590, 100);
    assert.strictEqual(tip.hidden, true);
});

test("times are those of the zone that the page names, in winter and in summer", async () => {
    const inMadrid = PAGE.replace(`data-axis=""`, `data-axis="" data-zone="Europe/Madrid"`);
    const summer = Date.parse("2026-07-01T22:30:00Z") / 1000;
    for (const [told, said] of [[{}, "2026-01-01 01:00 CET"], [{ epoch: summer }, "2026-07-02 00:30 CEST"]]) {
        const { point, find } = await opened(grid(told), inMadrid);
        point("pointermove", ...at(0, 0));
        assert.ok(find(".picture-tip").textContent.includes(`submitted ${said} · `), find(".picture-tip").textContent);
    }
});

test("a click opens the job, with Ctrl in another tab", async () => {
    const { click, visited } = await opened();
    click(...at(1, 0));
    click(...at(2, 1), { ctrlKey: true });
    click(590, 100);
    assert.deepStrictEqual(visited, [["/experiments/a000/jobs/a2/", ""], ["/experiments/a000/jobs/b3/", "_blank"]]);
});

test("the keys go from job to job, and open it", async () => {
    const { canvas, told, visited } = await opened();
    press(canvas, "ArrowRight");
    assert.match(told(), /^a1 · COMPLETED/);
    press(canvas, "ArrowRight");
    press(canvas, "ArrowDown");
    assert.match(told(), /^b2 · WAITING/);
    press(canvas, "Enter");
    assert.deepStrictEqual(visited, [["/experiments/a000/jobs/b2/", ""]]);
});

test("keys with Ctrl are left to the browser", async () => {
    const { canvas } = await opened();
    assert.strictEqual(press(canvas, "+", { ctrlKey: true }).defaultPrevented, false);
    assert.strictEqual(press(canvas, "x").defaultPrevented, false);
    assert.strictEqual(press(canvas, "+").defaultPrevented, true);
});

test("the wheel zooms at the pointer, and the page scrolls where there is nothing to zoom out of", async () => {
    const { point } = await opened();
    assert.strictEqual(point("wheel", ...at(1, 1), { deltaY: 100 }).defaultPrevented, false);
    assert.strictEqual(point("wheel", ...at(1, 1), { deltaY: -400 }).defaultPrevented, true);
    assert.strictEqual(point("wheel", ...at(1, 1), { deltaY: 100 }).defaultPrevented, true);
});

test("what is out of view is not drawn", async () => {
    const { find, boxes } = await opened(grid({
        names: Array.from({ length: 500 }, (_, n) => `j${n}`), ids: Array(500).fill(1), status: "W".repeat(500),
        x: Array.from({ length: 500 }, (_, n) => n), y: Array(500).fill(0), parents: [], submitted: Array(500).fill(null),
        queued: Array(500).fill(null), ran: Array(500).fill(null),
    }));
    for (let times = 0; times < 12; times += 1) find("[data-zoom=in]").click();
    const seen = await boxes();
    assert.ok(seen.length > 0 && seen.length < 40, `${seen.length} boxes`);
});

test("a drag moves a picture that is larger than its view", async () => {
    const { find, drag, point } = await opened();
    for (let times = 0; times < 12; times += 1) find("[data-zoom=in]").click();
    find("[data-zoom=all]").click();
    point("pointermove", ...at(2, 1));
    assert.match(find(".picture-tip").textContent, /^b3/);
    for (let times = 0; times < 12; times += 1) find("[data-zoom=in]").click();
    drag(300, 60, 3000, 600);
    point("pointermove", GUTTER + 5, HEAD + 5);
    assert.match(find(".picture-tip").textContent, /^a1/);
});

test("two fingers zoom", async () => {
    const { point, find, boxes } = await opened();
    point("pointerdown", 250, 60, { pointerId: 1 });
    point("pointerdown", 260, 60, { pointerId: 2 });
    point("pointermove", 560, 60, { pointerId: 2 });
    const widths = (await boxes()).map((box) => box[4]);
    assert.ok(Math.max(...widths) > 60);
    assert.ok(find("canvas"));
});

test("jobs are chosen one by one, and taken out again", async () => {
    const { find, click, chosen, visited } = await opened();
    find("[data-choosing]").click();
    click(...at(0, 0));
    click(...at(1, 1));
    assert.deepStrictEqual([chosen(), find("[data-count]").textContent], ["11,15", "2 jobs chosen"]);
    click(...at(0, 0));
    assert.deepStrictEqual([chosen(), find("[data-chosen]").hidden], ["15", false]);
    find("[data-clear]").click();
    assert.deepStrictEqual([chosen(), find("[data-chosen]").hidden, visited], ["", true, []]);
});

test("a rectangle chooses the jobs that it touches", async () => {
    const { find, drag, chosen } = await opened();
    find("[data-choosing]").click();
    drag(...at(1, 0), ...at(2, 1));
    assert.strictEqual(chosen(), "12,13,15,16");
});

test("shift chooses the range from the job that was chosen last", async () => {
    const { find, click, chosen } = await opened();
    find("[data-choosing]").click();
    click(...at(0, 0));
    click(...at(1, 1), { shiftKey: true });
    assert.strictEqual(chosen(), "11,12,14,15");
});

test("the name of a section chooses all of its jobs, that of a row its own", async () => {
    const { click, chosen } = await opened();
    click(5, HEAD + 5);
    assert.strictEqual(chosen(), "11,12,13,14,15,16");
    click(5, HEAD + 5);
    click(GUTTER - 10, HEAD + 30);
    assert.strictEqual(chosen(), "14,15,16");
});

test("the space bar chooses the job that is told", async () => {
    const { canvas, chosen, told } = await opened();
    press(canvas, "ArrowRight");
    press(canvas, " ");
    assert.strictEqual(chosen(), "11");
    assert.match(told(), /chosen$/);
});

test("where nothing can be chosen a click opens, with Shift too", async () => {
    const { click, visited } = await opened(grid(), PAGE.replace(/<form[^]*form>/, "").replace(/<button data-choosing[^]*?button>/, ""));
    click(5, HEAD + 5);
    click(...at(0, 0), { shiftKey: true });
    assert.deepStrictEqual(visited, [["/experiments/a000/jobs/a1/", ""]]);
});

test("a refresh of the page brings the picture as it is now, and keeps the job that is told and what is chosen", async () => {
    const { document, window, canvas, answers, told, chosen, asked } = await opened();
    press(canvas, "ArrowRight");
    press(canvas, " ");
    answers.splice(0, 1, grid({ ids: [5, 6, 2, 1, 1, 1], names: ["new", "a1", "a3", "b1", "b2", "b3"], status: "WRWRWW" }));
    document.dispatchEvent(new window.Event("portal:refreshed"));
    await settle();
    assert.deepStrictEqual([asked.length, chosen()], [2, "11"]);
    assert.match(told(), /^a1 · RUNNING/);
    press(canvas, "ArrowDown");
    assert.match(told(), /^b2/);
});

test("what comes while a picture is on its way is asked for after it, once", async () => {
    const { document, window, asked } = await opened();
    for (let times = 0; times < 3; times += 1) document.dispatchEvent(new window.Event("portal:refreshed"));
    await settle();
    await settle();
    assert.strictEqual(asked.length, 3);
});

test("a picture that a refresh brings is drawn too", async () => {
    const { document, window, asked } = await opened(grid(), "<main></main>");
    document.querySelector("main").innerHTML = PAGE;
    document.dispatchEvent(new window.Event("portal:refreshed"));
    await settle();
    assert.deepStrictEqual(asked, ["/grid/data/"]);
    assert.strictEqual(document.querySelector("canvas").dataset.jobs, "6");
});

test("the graph around a job begins at it, so near that names are read", async () => {
    const names = Array.from({ length: 9 }, (_, n) => `a000_${n}_SIM`), none = Array(9).fill(null);
    const { drawn } = await opened(grid({
        cell: [300, 34], names, ids: [3, 1, 1, 1, 1, 1, 1, 1, 1], status: "WWWWFWWWW", x: names.map((_, n) => n), y: Array(9).fill(0),
        width: [0.74], height: [0.7], rows: [], groups: [], columns: [], parents: [], submitted: none, queued: none, ran: none,
    }), PAGE.replace("data-axis", `data-about="7" data-axis`));
    const texts = drawn.filter(([name]) => name === "fillText").map(([, , text]) => text);
    assert.ok(texts.includes("F a000_4_SIM"), texts);
});

test("on a timeline the time in the queue is paler, and what runs lasts until now", async () => {
    const { drawn, point, find } = await opened(grid({
        names: ["a", "b"], ids: [1, 1], status: "CR", x: [0, 100], y: [0, 1], width: [100, 10], height: [1], waits: [40, 5],
        rows: [], columns: [], parents: [], origin: Date.parse("2026-11-25T09:55:00Z") / 1000,
        submitted: [0, 0], queued: [40, 5], ran: [60, null],
    }), PAGE.replace(`data-axis=""`, `data-axis="time"`));
    assert.ok(drawn.filter(([name, , text]) => name === "fillText" && /^11-25/.test(text)).length);
    point("pointermove", 590, HEAD + 20); // 5 minutes after the beginning
    assert.match(find(".picture-tip").textContent, /^b · RUNNING/);
});

test("a job that was seen to run is drawn since then, told so, and has not waited", async () => {
    const { drawn, point, find } = await opened(grid({
        names: ["a"], ids: [1], status: "R", x: [0], y: [0], width: [10], height: [1], waits: [0],
        rows: [], columns: [], parents: [], origin: Date.parse("2026-11-25T09:55:00Z") / 1000,
        epoch: Date.parse("2026-11-25T09:55:00Z") / 1000, submitted: [null], queued: [null], ran: [null], seen: [0],
    }), PAGE.replace(`data-axis=""`, `data-axis="time"`));
    point("pointermove", 590, HEAD + 20);
    assert.strictEqual(find(".picture-tip").textContent, "a · RUNNING · since 2026-11-25 09:55 UTC (seen)");
    assert.ok(drawn.length);
});

// A run that goes on, and below it a wrapper with the jobs a and b of 100 s, of which it waited 40.
function spans(more = {}) {
    return opened(grid({
        names: ["a", "b", "c"], ids: [1, 1, 1], status: "CCC", x: [0, 0, 0], y: [2, 3, 4], width: [100], height: [1], waits: [40],
        spans: [["Run 7", 0, 0, null, 0, [], "/runs/7/"], ["a000_W", 0, 1, 100, 40, [0, 1], "/jobs/?wrapper=a000_W"]],
        rows: [], columns: [], groups: [["Runs", 0, 1]], parents: [], origin: Date.parse("2026-11-25T09:58:20Z") / 1000,
        submitted: [0, 0, 0], queued: [40, 40, 40], ran: [60, 60, 60], ...more,
    }), PAGE.replace(`data-axis=""`, `data-axis="time"`));
}
const ROW = 18; // of 5 rows in a canvas of 120 pixels less the line of the hours

test("runs and wrappers are told on a timeline, and lead to their pages", async () => {
    const { point, find, click, visited } = await spans();
    const tip = find(".picture-tip");
    point("pointermove", 100, HEAD + ROW / 2);
    assert.strictEqual(tip.textContent, "Run 7 · from 2026-11-25 09:58 UTC · goes on for 1 min 40 s");
    point("pointermove", 100, HEAD + 1.5 * ROW);
    assert.strictEqual(tip.textContent, "a000_W · 2 jobs · from 2026-11-25 09:58 UTC · waited 40 s · took 1 min 00 s");
    click(100, HEAD + 1.5 * ROW);
    click(100, HEAD + ROW / 2, { metaKey: true });
    assert.deepStrictEqual(visited, [["/jobs/?wrapper=a000_W", ""], ["/runs/7/", "_blank"]]);
});

test("a job on a timeline says in which wrapper it was", async () => {
    const { canvas, told } = await spans();
    press(canvas, "ArrowDown");
    assert.match(told(), /^a · .* · in a000_W$/);
    press(canvas, "ArrowDown");
    press(canvas, "ArrowDown");
    assert.match(told(), /^c · .* · ran 1 min 00 s$/);
});

test("runs and wrappers have their names where there is room", async () => {
    const { drawn } = await spans();
    const texts = drawn.filter(([name]) => name === "fillText").map(([, , text]) => text);
    assert.ok(texts.includes("Run 7"), texts);
    assert.ok(texts.includes("a000_W"), texts);
});

// The hours between the lines of a timeline of twelve hours, with what they are called.
async function lines(origin) {
    const { drawn } = await opened(grid({
        names: ["a"], ids: [1], status: "C", x: [0], y: [0], width: [43200], height: [1], waits: [0], rows: [], columns: [],
        parents: [], origin: Date.parse(origin) / 1000, submitted: [0], queued: [0], ran: [43200],
    }), PAGE.replace(`data-axis=""`, `data-axis="time" data-zone="Europe/Madrid"`));
    const texts = drawn.filter(([name, , text]) => name === "fillText" && /^\d\d-\d\d /.test(text));
    const width = (NARROW.width - GUTTER) / 12;
    return texts.map(([, , text, x], i) => [text, i ? Math.round((x - texts[i - 1][3]) / width) : 0]);
}

test("the axis of a timeline goes on by the clock of the zone in the night of a change", async () => {
    assert.deepStrictEqual(await lines("2026-10-24T21:00:00Z"), [
        ["10-25 00:00", 0], ["10-25 03:00", 4], ["10-25 06:00", 3], ["10-25 09:00", 3],
    ]);
    assert.deepStrictEqual(await lines("2026-03-28T22:00:00Z"), [
        ["03-29 00:00", 0], ["03-29 03:00", 2], ["03-29 06:00", 3], ["03-29 09:00", 3],
    ]);
});

test("a low band takes neither the name of the next section nor that of its first row", async () => {
    const many = Array.from({ length: 200 }, (_, n) => [`fc${n}`, n + 1, 1]);
    const page = await opened(grid({ y: [0, 1, 2, 199, 200, 200], rows: [["", 0, 1], ...many], groups: [["SETUP", 0, 1], ["SIM", 1, 200]] }));
    const written = page.drawn.filter(([name]) => name === "fillText").map(([, , text]) => text);
    assert.ok(["SETUP", "SIM", "fc0"].every((label) => written.includes(label)), written.join(" "));
});
