// Draws the jobs of an experiment as boxes on a canvas: [data-picture="address"] says where they are told as JSON
// (jobs/pictures/encoding.py). Only what is in view is drawn. The picture moves and zooms by mouse, wheel, touch and
// keyboard; a box tells its job and opens it; where there is a form [data-chosen], boxes can be chosen for it.

const STATUSES = {
    C: "completed", K: "skipped", F: "failed", R: "running", Q: "queuing", U: "submitted", P: "prepared", Y: "ready",
    H: "held", D: "delayed", S: "suspended", W: "waiting", X: "unknown",
};
const ON_PLATFORM = "UQR";
const DRAWN = "WXKCDHPYUQRSF"; // in this order: what failed is seen where several jobs share a pixel
const FARTHEST = 4; // times the size that a box has at first
const PIXELS_OF_A_SECOND = 20; // at most
const EDGES_AT_REST = 6000, EDGES_IN_MOTION = 800, LETTERS_IN_MOTION = 1500;
const REST_AFTER = 150;
const CLICK_PIXELS = 4;
const LETTER = [10, 12], NAME_WIDTH = 90; // the least box with a letter, or with a name
const NAMED_PIXELS = 260;
const TICKS = [60, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400, 172800, 604800, 2592000, 7776000, 31536000];
const TICK_PIXELS = 110;
const SPAN_LABEL_PIXELS = 40; // the least stretch of time with its name
const QUARTER = 900, HOUR = 3600, DAY = 86400, MOST_OFFSETS = 5000;
const two = (number) => String(number).padStart(2, "0");

const each = (values, count) => values.length === 1 ? new Float64Array(count).fill(values[0]) : Float64Array.from(values);

/** Returns a picture with arrays for each job, from what the server tells. */
function decode(told, isTimed, now) {
    const count = told.names.length;
    let id = 0;
    const jobs = {
        ...told, count,
        ids: told.ids.map((more) => (id += more)),
        x: Float64Array.from(told.x), y: Float64Array.from(told.y),
        width: each(told.width, count), height: each(told.height, count), waits: each(told.waits, count),
    };
    if (isTimed) {
        for (let i = 0; i < count; i += 1) {
            if (told.ran[i] === null && ON_PLATFORM.includes(told.status[i])) {
                jobs.width[i] = Math.max(1, now / 1000 - told.origin - jobs.x[i]); // it goes on
                const isSeenToRun = told.status[i] === "R" && (told.seen[i] ?? null) !== null;
                if (told.queued[i] === null && !isSeenToRun) jobs.waits[i] = jobs.width[i];
            }
        }
    }
    const spans = told.spans.map((span) => decodeSpan(span, now / 1000 - told.origin));
    const spanOf = new Map(spans.flatMap((span) => span.jobs.map((i) => [i, span])));
    const drawn = sortByStatus(jobs);
    const tallest = jobs.height.reduce((most, height) => Math.max(most, height), 0);
    const edges = decodeEdges(told.parents);
    const end = (starts, lengths) => starts.reduce((most, start, i) => Math.max(most, start + lengths[i]), 0);
    const top = jobs.y.reduce((least, y) => Math.min(least, y), 0);
    return { ...jobs, spans, spanOf, drawn, tallest, edges, right: end(jobs.x, jobs.width) || 1, top, bottom: end(jobs.y, jobs.height) || 1 };
}

/** Returns a run or a wrapper: a stretch of time above the jobs. What goes on lasts until now. */
function decodeSpan([label, x, y, width, wait, steps, address], now) {
    let place = 0;
    return { label, x, y, width: width ?? Math.max(1, now - x), goesOn: width === null, wait, address, jobs: steps.map((step) => (place += step)) };
}

/** Returns for each status the places of its jobs, row by row, with their boxes in that order. */
function sortByStatus({ status, x, y, width, height, count }) {
    const found = Object.fromEntries([...DRAWN].map((letter) => [letter, []]));
    for (let i = 0; i < count; i += 1) found[status[i]].push(i);
    return [...DRAWN].filter((letter) => found[letter].length).map((letter) => {
        const places = Int32Array.from(found[letter]).sort((a, b) => y[a] - y[b] || x[a] - x[b]);
        const pick = (values) => Float64Array.from(places, (i) => values[i]);
        return { letter, places, x: pick(x), y: pick(y), width: pick(width), height: pick(height) };
    });
}

/** Returns the place of the first of sorted numbers that is not less than another. */
function findFirst(numbers, least) {
    let low = 0, high = numbers.length;
    while (low < high) {
        const middle = (low + high) >> 1;
        if (numbers[middle] < least) low = middle + 1;
        else high = middle;
    }
    return low;
}

function decodeEdges(parents) {
    const from = [], to = [];
    for (let at = 0, child = 0; at < parents.length; child += 1) {
        const last = at + parents[at];
        while (at < last) {
            from.push(child - parents[++at]);
            to.push(child);
        }
        at += 1;
    }
    return { from, to };
}

function duration(seconds) {
    if (seconds < 60) return `${seconds} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${two(Math.floor(seconds / 60) % 60)} min`;
    return `${Math.floor(seconds / 86400)} d ${two(Math.floor(seconds / 3600) % 24)} h`;
}

/** Reads instants, in seconds since 1970, in a time zone; the hands are turned there in summer and in winter. */
class Clock {
    constructor(timeZone) {
        const hands = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" };
        this.format = new Intl.DateTimeFormat("en-GB", { timeZone, hourCycle: "h23", timeZoneName: "short", ...hands });
        this.offsets = new Map();
    }

    read(seconds) {
        return Object.fromEntries(this.format.formatToParts(1000 * seconds).map(({ type, value }) => [type, value]));
    }

    /** Returns date and time: 2026-01-01 00:00. */
    say(seconds) {
        return new Date(1000 * (seconds + this.offset(seconds))).toISOString().slice(0, 16).replace("T", " ");
    }

    /** Returns the name of the zone at an instant, such as CET or GMT+9. */
    name(seconds) {
        return this.read(seconds).timeZoneName;
    }

    /** Returns by how many seconds the clock is before UTC. A picture asks the same again for each frame. */
    offset(seconds) {
        const quarter = Math.floor(seconds / QUARTER); // no clock is turned within one
        if (!this.offsets.has(quarter)) {
            if (this.offsets.size >= MOST_OFFSETS) this.offsets.clear();
            const { year, month, day, hour, minute, second } = this.read(quarter * QUARTER);
            const shown = Date.UTC(year, month - 1, day, hour, minute, second) / 1000;
            this.offsets.set(quarter, shown - quarter * QUARTER);
        }
        return this.offsets.get(quarter);
    }

    /** Returns the instants between two at which the clock shows a multiple of so many seconds. */
    list(first, last, step) {
        const found = [];
        const before = this.offset(first);
        for (let shown = Math.ceil((first + before) / step) * step; shown - before <= last + DAY; shown += step) {
            // Within the hours the clock goes on through a change; days begin when it shows so.
            const at = step > HOUR ? shown - this.offset(shown - this.offset(shown - before)) : shown - before;
            if (at > last) break;
            if (at >= first && at !== found.at(-1)) found.push(at);
        }
        return found;
    }
}

/** Says what is known of a job: name, status, times. */
function describe(jobs, i, clock) {
    const { names, status, submitted, queued, ran, seen, epoch } = jobs;
    const tell = (at) => ({ at: `${clock.say(epoch + at)} ${clock.name(epoch + at)}` });
    const said = [names[i], STATUSES[status[i]].toUpperCase()];
    if ((seen[i] ?? null) !== null) said.push(say("since {at} (seen)", tell(seen[i])));
    if (submitted[i] !== null) said.push(say("submitted {at}", tell(submitted[i])));
    if (queued[i] !== null) said.push(say("waited {time}", { time: duration(Math.max(0, queued[i])) }));
    if (ran[i] !== null) said.push(say("ran {time}", { time: duration(Math.max(0, ran[i])) }));
    if (jobs.spanOf.has(i)) said.push(say("in {wrapper}", { wrapper: jobs.spanOf.get(i).label }));
    return said.join(" · ");
}

/** Says what is known of a run or a wrapper. */
function describeSpan({ label, x, width, wait, goesOn, jobs }, origin, clock) {
    const at = origin + x, said = [label];
    if (jobs.length) said.push(jobs.length === 1 ? say("1 job") : say("{count} jobs", { count: jobs.length }));
    said.push(say("from {at}", { at: `${clock.say(at)} ${clock.name(at)}` }));
    if (wait) said.push(say("waited {time}", { time: duration(wait) }));
    const time = duration(Math.round(width - wait));
    said.push(goesOn ? say("goes on for {time}", { time }) : say("took {time}", { time }));
    return said.join(" · ");
}

/** Black or white, whichever is seen on a colour such as rgb(1, 2, 3) or #123456. */
function contrastTo(color) {
    const parts = color.startsWith("#")
        ? [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16)) : color.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0];
    return 0.299 * parts[0] + 0.587 * parts[1] + 0.114 * parts[2] > 140 ? "#10171e" : "#ffffff";
}

/** Where the picture is seen from: a unit is `sx` by `sy` pixels, and (`x`, `y`) is at the upper left. */
class Camera {
    constructor(isTimed) {
        this.isTimed = isTimed;
        this.view = { width: 1, height: 1 };
        this.isWhole = true;
    }

    show(jobs, view) {
        const [cellX, cellY] = jobs.cell;
        this.view = view;
        this.world = { x: 0, y: jobs.top, width: jobs.right, height: jobs.bottom - jobs.top };
        const [wide, high] = [view.width / this.world.width, view.height / this.world.height];
        this.least = [this.isTimed ? wide : Math.min(cellX, wide), Math.min(cellY, high)];
        this.most = [this.isTimed ? Math.max(PIXELS_OF_A_SECOND, wide) : FARTHEST * cellX, FARTHEST * cellY];
        if (this.isWhole) [this.sx, this.sy, this.x, this.y] = [...this.least, 0, jobs.top];
        this.keepInside();
    }

    keepInside() {
        const { world, view } = this;
        this.sx = Math.min(this.most[0], Math.max(this.least[0], this.sx));
        this.sy = Math.min(this.most[1], Math.max(this.least[1], this.sy));
        this.isWhole = this.sx <= this.least[0] && this.sy <= this.least[1];
        this.x = Math.min(world.x + Math.max(0, world.width - view.width / this.sx), Math.max(world.x, this.x));
        this.y = Math.min(world.y + Math.max(0, world.height - view.height / this.sy), Math.max(world.y, this.y));
    }

    /** Moves by so many pixels; returns whether there was somewhere to go. */
    move(dx, dy) {
        const { x, y } = this;
        this.x -= dx / this.sx;
        this.y -= dy / this.sy;
        this.keepInside();
        return this.x !== x || this.y !== y;
    }

    zoom(times, atX, atY) {
        const [x, y] = this.toWorld(atX, atY);
        this.sx = Math.min(this.most[0], Math.max(this.least[0], this.sx * times));
        this.sy = Math.min(this.most[1], Math.max(this.least[1], this.sy * times));
        [this.x, this.y] = [x - atX / this.sx, y - atY / this.sy];
        this.keepInside();
    }

    toWorld(x, y) { return [this.x + x / this.sx, this.y + y / this.sy]; }

    /** Comes so near that a unit is this wide, with a place in the middle. */
    approach(width, x, y) {
        const { view } = this;
        this.zoom(width / this.sx, 0, 0);
        [this.x, this.y] = [x - view.width / 2 / this.sx, y - view.height / 2 / this.sy];
        this.keepInside();
    }

    /** Moves as little as needed to have a box in view. */
    reveal(left, top, right, bottom) {
        const { view } = this;
        if (right > this.x + view.width / this.sx) this.x = right - view.width / this.sx;
        if (left < this.x) this.x = left;
        if (bottom > this.y + view.height / this.sy) this.y = bottom - view.height / this.sy;
        if (top < this.y) this.y = top;
        this.keepInside();
    }
}

/** Which jobs are chosen, by their ids, and the form that they are chosen for. */
class Choice {
    constructor(picture, box) {
        this.picture = picture;
        this.ids = new Set();
        this.anchor = null;
        this.isOn = false;
        this.form = box.querySelector("[data-chosen]");
        this.button = box.querySelector("[data-choosing]");
        this.button?.addEventListener("click", () => this.turn(!this.isOn));
        box.querySelector("[data-clear]")?.addEventListener("click", () => { this.ids.clear(); this.changed(); });
    }

    turn(isOn) {
        this.isOn = isOn;
        this.button.setAttribute("aria-pressed", String(isOn));
        this.picture.canvas.classList.toggle("is-choosing", isOn);
    }

    toggle(i) {
        const id = this.picture.jobs.ids[i];
        if (!this.ids.delete(id)) this.ids.add(id);
        this.anchor = i;
        this.changed();
    }

    /** Adds all of these, or takes them out if they are all chosen already. */
    toggleAll(places) {
        const ids = places.map((i) => this.picture.jobs.ids[i]);
        const areAll = ids.every((id) => this.ids.has(id));
        for (const id of ids) areAll ? this.ids.delete(id) : this.ids.add(id);
        this.changed();
    }

    add(places) {
        for (const i of places) this.ids.add(this.picture.jobs.ids[i]);
        this.changed();
    }

    /** Adds what lies in the rectangle from the one that was chosen last to this one. */
    extend(i) {
        const { x, y, width, height } = this.picture.jobs, from = this.anchor ?? i;
        const left = Math.min(x[from], x[i]), top = Math.min(y[from], y[i]);
        const right = Math.max(x[from] + width[from], x[i] + width[i]);
        this.add(this.picture.within(left, top, right, Math.max(y[from] + height[from], y[i] + height[i])));
    }

    changed() {
        const count = this.ids.size;
        this.form.hidden = count === 0;
        this.form.elements.selection.value = [...this.ids].join(",");
        this.form.querySelector("[data-count]").textContent = count === 1 ? say("1 job chosen") : say("{count} jobs chosen", { count });
        this.picture.plan();
    }
}

/** Draws what the camera sees. All lengths here are pixels of the screen. */
class Painter {
    constructor(canvas, isTimed, clock) {
        this.canvas = canvas;
        this.isTimed = isTimed;
        this.clock = clock;
        this.context = canvas.getContext("2d");
        this.readColors();
    }

    readColors() {
        const style = getComputedStyle(this.canvas);
        const read = (name) => style.getPropertyValue(`--${name}`).trim() || "#888888";
        this.colors = Object.fromEntries(Object.entries(STATUSES).map(([letter, name]) => [letter, read(name)]));
        this.letters = Object.fromEntries(Object.entries(this.colors).map(([letter, color]) => [letter, contrastTo(color)]));
        this.ink = read("ink");
        this.quiet = read("ink-3");
        this.line = read("line-strong");
        this.ground = read("surface");
        this.accent = read("accent");
    }

    measure(jobs, width) {
        const { context } = this, most = 0.22 * width;
        context.font = "12px sans-serif";
        const widest = (bands) => bands.reduce((least, [label]) => Math.max(least, context.measureText(label).width + 12), 0);
        this.groupWidth = Math.min(most, widest(jobs.groups));
        this.rowWidth = Math.min(most, widest(jobs.rows));
        this.left = Math.round(this.groupWidth + this.rowWidth);
        this.head = jobs.columns.length || this.isTimed ? 22 : 0;
    }

    paint(jobs, camera, { focused, hovered, about, pointed, chosen, rectangle, isMoving }) {
        const { context, canvas } = this, k = this.scale;
        const [width, height] = [canvas.width, canvas.height];
        if (this.covered?.length !== width + 1) this.covered = new Int32Array(width + 1);
        this.sx = camera.sx * k;
        this.sy = camera.sy * k;
        this.dx = this.left * k - camera.x * this.sx;
        this.dy = this.head * k - camera.y * this.sy;
        context.fillStyle = this.ground;
        context.fillRect(0, 0, width, height);
        context.save();
        context.beginPath();
        context.rect(this.left * k, this.head * k, width, height);
        context.clip();
        if (this.isTimed) this.paintTicks(jobs, camera);
        this.paintEdges(jobs, isMoving ? EDGES_IN_MOTION : EDGES_AT_REST, [focused, hovered]);
        this.paintBoxes(jobs, isMoving);
        this.paintSpans(jobs, pointed ?? jobs.spanOf.get(hovered ?? focused), isMoving && jobs.spans.length > LETTERS_IN_MOTION);
        for (const i of pointed?.jobs ?? []) this.outline(jobs, i, 2);
        if (chosen.size) this.outlineChosen(jobs, chosen);
        for (const i of [hovered, about, focused]) if (i !== null && i !== undefined) this.outline(jobs, i, i === focused ? 3 : 2);
        if (rectangle) this.paintRectangle(rectangle);
        context.restore();
        this.paintLabels(jobs);
    }

    paintBoxes(jobs, isMoving) {
        const roomy = [];
        for (const group of jobs.drawn) this.paintStatus(jobs, group, roomy);
        if (!isMoving || roomy.length / 5 <= LETTERS_IN_MOTION) this.paintSigns(jobs, roomy);
    }

    /** Draws the boxes of one status, which are sorted by rows; adds those with room for a sign. */
    paintStatus(jobs, { letter, places, x, y, width, height }, roomy) {
        const { context, sx, sy, dx, dy, canvas, isTimed } = this, k = this.scale;
        const most = canvas.width, bottom = canvas.height, least = LETTER[0] * k, lowest = LETTER[1] * k;
        const covered = this.covered.fill(-1); // by the x of a pixel: the row where it has been drawn last
        let left = 0, right = -1, top = -1, high = 0; // of what is about to be drawn
        const flush = () => { if (right > left) context.fillRect(left, top, right - left, high); };
        context.fillStyle = this.colors[letter];
        for (let n = findFirst(y, (-jobs.tallest - 1) - dy / sy); n < places.length; n += 1) {
            const boxTop = Math.round(y[n] * sy + dy);
            if (boxTop > bottom) break;
            const boxLeft = Math.round(x[n] * sx + dx);
            let boxRight = Math.round((x[n] + width[n]) * sx + dx), boxHeight = Math.round((y[n] + height[n]) * sy + dy) - boxTop;
            if (boxLeft > most || boxRight < 0 || boxTop + boxHeight < 0) continue;
            boxHeight = boxHeight >= 4 ? boxHeight - k : Math.max(1, boxHeight);
            boxRight = boxRight - boxLeft >= 4 ? boxRight - k : Math.max(boxLeft + 1, boxRight);
            if (boxHeight <= 2 && !isTimed && boxLeft >= 0) { // rows that share a pixel are drawn once
                if (covered[boxLeft] === boxTop) continue;
                covered[boxLeft] = boxTop;
            }
            if (boxTop === top && boxHeight === high && boxLeft >= left && boxLeft <= right && !isTimed) {
                right = Math.max(right, boxRight); // neighbours without a gap are one
            } else {
                flush();
                [left, right, top, high] = [boxLeft, boxRight, boxTop, boxHeight];
            }
            const wait = isTimed ? jobs.waits[places[n]] : 0;
            if (wait > 0) left = this.paintWait(left, Math.min(right, boxLeft + Math.round(wait * sx)), top, high);
            const isRoomy = boxRight - boxLeft >= least && boxHeight >= lowest;
            if (isRoomy || (letter === "F" && boxHeight >= 5)) roomy.push(places[n], boxLeft, boxTop, boxRight - boxLeft, boxHeight);
        }
        flush();
    }

    /** Draws the time in the queue paler and lower; returns where the box goes on. */
    paintWait(left, right, top, high) {
        if (right <= left) return left;
        this.context.globalAlpha = 0.45;
        this.context.fillRect(left, top + Math.round(high / 3), right - left, Math.max(1, Math.round(high / 3)));
        this.context.globalAlpha = 1;
        return right;
    }

    /** Writes letters and names; what failed and is too small for a letter gets a dark edge. */
    paintSigns(jobs, roomy) {
        const { context } = this, k = this.scale;
        context.font = `600 ${11 * k}px ui-monospace, monospace`;
        context.textBaseline = "middle";
        for (let n = 0; n < roomy.length; n += 5) {
            const [i, begin, top, whole, height] = roomy.slice(n, n + 5), letter = jobs.status[i];
            const left = Math.max(begin, Math.min(this.left * k, begin + whole)), width = begin + whole - left; // in view
            if (width < LETTER[0] * k || height < LETTER[1] * k) {
                context.fillStyle = this.ink;
                context.fillRect(left, top + height - Math.max(1, k), width, Math.max(1, k));
                continue;
            }
            context.fillStyle = this.letters[letter];
            if (width < NAME_WIDTH * k) {
                context.textAlign = "center";
                context.fillText(letter, left + width / 2, top + height / 2 + k);
            } else {
                context.textAlign = "left";
                const room = Math.floor(width / (7 * k)) - 3, name = jobs.names[i];
                context.fillText(`${letter} ${name.length > room ? `…${name.slice(1 - room)}` : name}`, left + 6 * k, top + height / 2 + k);
            }
        }
    }

    paintEdges(jobs, most, nodes) {
        const { from, to } = jobs.edges, { context } = this;
        if (!from.length) return;
        const strong = [], seen = [];
        for (let n = 0; n < from.length; n += 1) {
            if (nodes.includes(from[n]) || nodes.includes(to[n])) strong.push(n);
            else if (seen.length <= most && this.isEdgeSeen(jobs, from[n], to[n])) seen.push(n);
        }
        context.lineWidth = this.scale;
        context.strokeStyle = this.line;
        if (seen.length <= most) this.strokeEdges(jobs, seen);
        context.lineWidth = 2 * this.scale;
        context.strokeStyle = this.accent;
        this.strokeEdges(jobs, strong);
    }

    isEdgeSeen({ x, y, width }, i, j) {
        const { sx, sy, dx, dy, canvas } = this;
        const [ax, bx, ay, by] = [(x[i] + width[i]) * sx + dx, x[j] * sx + dx, y[i] * sy + dy, y[j] * sy + dy];
        return !((ax < 0 && bx < 0) || (ay < 0 && by < 0) || (ax > canvas.width && bx > canvas.width) || (ay > canvas.height && by > canvas.height));
    }

    strokeEdges({ x, y, width, height, edges }, some) {
        const { context, sx, sy, dx, dy } = this;
        const { from, to } = edges;
        for (let n = 0; n < some.length; n += 400) {
            context.beginPath();
            for (const e of some.slice(n, n + 400)) {
                const [i, j] = [from[e], to[e]];
                if (x[j] >= x[i] + width[i]) {
                    const [ax, ay] = [(x[i] + width[i]) * sx + dx, (y[i] + height[i] / 2) * sy + dy];
                    const [bx, by] = [x[j] * sx + dx, (y[j] + height[j] / 2) * sy + dy], middle = (ax + bx) / 2;
                    context.moveTo(ax, ay);
                    if (ay === by) context.lineTo(bx, by);
                    else context.bezierCurveTo(middle, ay, middle, by, bx, by);
                } else {
                    const isBelow = y[j] > y[i];
                    context.moveTo((x[i] + width[i] / 2) * sx + dx, (y[i] + (isBelow ? height[i] : 0)) * sy + dy);
                    context.lineTo((x[j] + width[j] / 2) * sx + dx, (y[j] + (isBelow ? 0 : height[j])) * sy + dy);
                }
            }
            context.stroke();
        }
    }

    outline({ x, y, width, height }, i, thick) {
        const { context, sx, sy, dx, dy } = this, k = this.scale;
        context.lineWidth = thick * k;
        context.strokeStyle = thick > 2 ? this.accent : this.ink;
        context.strokeRect(x[i] * sx + dx - k, y[i] * sy + dy - k, Math.max(3, width[i] * sx) + k, Math.max(3, height[i] * sy) + k);
    }

    outlineChosen(jobs, chosen) {
        const { context, sx, sy, dx, dy } = this, { x, y, width, height } = jobs;
        context.fillStyle = this.accent;
        context.globalAlpha = 0.45;
        for (let i = 0; i < jobs.count; i += 1) {
            if (chosen.has(jobs.ids[i])) context.fillRect(x[i] * sx + dx, y[i] * sy + dy, Math.max(1, width[i] * sx), Math.max(1, height[i] * sy));
        }
        context.globalAlpha = 1;
        if (jobs.count > 2000) return;
        for (let i = 0; i < jobs.count; i += 1) if (chosen.has(jobs.ids[i])) this.outline(jobs, i, 2);
    }

    paintRectangle([x, y, toX, toY]) {
        const { context } = this, k = this.scale;
        context.strokeStyle = this.accent;
        context.lineWidth = 2 * k;
        context.setLineDash([5 * k, 4 * k]);
        context.strokeRect(x * k, y * k, (toX - x) * k, (toY - y) * k);
        context.setLineDash([]);
    }

    paintTicks(jobs, camera) {
        const { context, sx, dx, canvas } = this, k = this.scale;
        const step = TICKS.find((seconds) => seconds * camera.sx >= TICK_PIXELS) ?? TICKS.at(-1);
        this.ticks = [];
        context.strokeStyle = this.line;
        context.lineWidth = k;
        const first = jobs.origin + camera.x, last = first + camera.view.width / camera.sx;
        context.beginPath();
        for (const at of this.clock.list(first, last, step)) {
            const x = Math.round((at - jobs.origin) * sx + dx) + 0.5;
            context.moveTo(x, 0);
            context.lineTo(x, canvas.height);
            this.ticks.push([step >= DAY ? this.clock.say(at).slice(0, 10) : this.clock.say(at).slice(5), x]);
        }
        context.stroke();
        context.strokeStyle = this.accent;
        context.fillStyle = this.accent;
        context.font = `${11 * k}px sans-serif`;
        context.textAlign = "left";
        context.textBaseline = "bottom";
        for (const { label, x } of jobs.spans.filter((span) => !span.jobs.length)) { // where a run begins
            const at = Math.round(x * sx + dx);
            context.fillRect(at, 0, k, canvas.height);
            context.fillText(label, at + 3 * k, canvas.height - 2 * k);
        }
    }

    /** Draws runs and wrappers, the time in the queue lower; what is pointed at, or has the job, is outlined. */
    paintSpans(jobs, strong, isQuick) {
        const { context, sx, sy, dx, dy, canvas } = this, k = this.scale;
        context.font = `${11 * k}px sans-serif`;
        context.textAlign = "left";
        context.textBaseline = "middle";
        context.strokeStyle = this.accent;
        context.lineWidth = 2 * k;
        for (const span of jobs.spans) {
            const left = Math.round(span.x * sx + dx), top = Math.round(span.y * sy + dy), high = Math.max(1, Math.round(sy) - k);
            const right = Math.max(left + 1, Math.round((span.x + span.width) * sx + dx)), ran = left + Math.round(span.wait * sx);
            if (right < 0 || left > canvas.width || top + high < 0 || top > canvas.height) continue;
            context.fillStyle = this.line;
            this.paintWait(left, Math.min(ran, right), top, high);
            context.fillRect(ran, top, right - ran - (right - ran >= 4 ? k : 0), high);
            if (span === strong) context.strokeRect(left, top, right - left, high);
            const from = Math.max(left, this.left * k), room = right - from - 8 * k;
            if (isQuick || room < SPAN_LABEL_PIXELS * k || high < LETTER[1] * k) continue;
            context.fillStyle = this.ink;
            context.fillText(this.shorten(span.label, room), from + 4 * k, top + high / 2 + k);
        }
    }

    /** Returns the end of a text, which tells wrappers apart, as far as there is room. */
    shorten(text, room) {
        const most = Math.floor(room / (6.2 * this.scale));
        return text.length > most ? `…${text.slice(1 - most)}` : text;
    }

    paintLabels(jobs) {
        const { context, canvas } = this, k = this.scale;
        context.font = `${12 * k}px sans-serif`;
        context.textAlign = "left";
        context.textBaseline = "middle";
        this.paintBands(jobs.rows, this.groupWidth, this.rowWidth, this.quiet, true);
        this.paintBands(jobs.groups, 0, this.groupWidth, this.ink, false);
        context.fillStyle = this.quiet;
        context.textAlign = "center";
        let free = this.left * k;
        const marks = this.isTimed ? this.ticks : jobs.columns.map(([label, start, length]) => [label, (start + length / 2) * this.sx + this.dx]);
        for (const [label, x] of marks) {
            const half = context.measureText(label).width / 2 + 5 * k;
            if (x - half < free || x + half > canvas.width) continue;
            context.fillText(label, x, this.head * k / 2);
            free = x + half;
        }
    }

    /** Writes the labels of bands on the left, as many as have room. */
    paintBands(bands, left, width, color, isMiddle) {
        const { context, canvas, sy, dy } = this, k = this.scale, least = 12 * k;
        context.save();
        context.beginPath();
        context.rect(left * k, this.head * k, width * k, canvas.height);
        context.clip();
        context.fillStyle = color;
        let free = -Infinity;
        for (const [label, start, length] of bands) {
            if (!label) continue;
            const top = start * sy + dy, bottom = top + length * sy;
            if (bottom < 0 || top > canvas.height) continue;
            const inView = Math.max(top, this.head * k);
            let at = isMiddle ? (top + bottom) / 2 : Math.min(inView + 10 * k, Math.max(bottom - 6 * k, inView + 7 * k));
            if (!isMiddle) at = Math.max(at, Math.min(free + least / 2, bottom - least / 2)); // below that of a low band
            if (at - least / 2 < free) continue;
            context.fillText(label, (left + 4) * k, at);
            free = at + least / 2;
        }
        context.restore();
    }
}

class Picture {
    constructor(box) {
        this.box = box;
        this.canvas = box.querySelector("canvas");
        this.told = box.querySelector(".picture-told");
        this.isTimed = box.dataset.axis === "time";
        this.clock = new Clock(box.dataset.zone ?? "UTC");
        this.painter = new Painter(this.canvas, this.isTimed, this.clock);
        this.camera = new Camera(this.isTimed);
        this.choice = new Choice(this, box);
        this.jobs = null;
        this.focused = this.hovered = this.pointed = this.rectangle = null;
        this.pointers = new Map();
        this.tip = document.createElement("div");
        this.tip.className = "picture-tip";
        this.tip.setAttribute("aria-hidden", "true");
        this.tip.hidden = true;
        this.link = document.createElement("a");
        this.link.hidden = true;
        box.append(this.tip, this.link);
        this.listen();
        this.load();
    }

    /** Asks for the picture; what changes while it is on its way is asked for after it. */
    async load() {
        if (this.isLoading) {
            this.isStale = true;
            return;
        }
        this.isLoading = true;
        await this.ask();
        this.isLoading = false;
        if (this.isStale) {
            this.isStale = false;
            this.load();
        }
    }

    async ask() {
        try {
            const answer = await fetch(this.box.dataset.picture);
            if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
            this.take(decode(await answer.json(), this.isTimed, Date.now()));
        } catch {
            this.told.textContent = say("The picture cannot be loaded now. The table below has the same jobs.");
        }
    }

    /** Shows new jobs; who looked at one goes on looking at it. */
    take(jobs) {
        const isFirst = this.jobs === null, focused = this.focused === null ? null : this.jobs.ids[this.focused];
        this.jobs = jobs;
        this.focused = focused === null ? null : this.find(focused);
        this.about = this.find(Number(this.box.dataset.about));
        this.hovered = this.pointed = null;
        this.tell();
        this.resize();
        if (isFirst && this.about !== null) this.showName(this.about);
        this.paint();
        this.canvas.dataset.jobs = jobs.count;
        performance.mark?.("portal:picture");
    }

    /** Begins at a job, so near that names are read; where all are read already, the picture stays whole. */
    showName(i) {
        const { x, y, width, height, cell } = this.jobs, near = Math.min(cell[0], NAMED_PIXELS);
        if (near > this.camera.sx) this.camera.approach(near, x[i] + width[i] / 2, y[i] + height[i] / 2);
    }

    find(id) {
        const place = this.jobs.ids.indexOf(id);
        return place < 0 ? null : place;
    }

    resize() {
        const { canvas, painter, jobs } = this, width = this.box.clientWidth;
        if (!jobs || !width) return;
        painter.measure(jobs, width);
        const wanted = (jobs.bottom - jobs.top) * jobs.cell[1] + painter.head;
        const height = Math.round(Math.max(120, Math.min(wanted, 0.68 * window.innerHeight)));
        const scale = painter.scale = window.devicePixelRatio || 1;
        canvas.style.height = `${height}px`;
        canvas.width = Math.round(width * scale);
        canvas.height = Math.round(height * scale);
        this.camera.show(jobs, { width: width - painter.left, height: height - painter.head });
        this.plan();
    }

    plan() {
        if (this.frame) return;
        this.frame = requestAnimationFrame(() => { this.frame = null; this.paint(); });
    }

    paint() {
        if (!this.jobs) return;
        const { focused, hovered, pointed, about, rectangle } = this;
        const seen = { focused, hovered, pointed, about, rectangle, chosen: this.choice.ids, isMoving: Boolean(this.resting) };
        this.painter.paint(this.jobs, this.camera, seen);
    }

    /** Plans a quick frame now, and one with everything when the picture rests. */
    moved() {
        clearTimeout(this.resting);
        this.resting = setTimeout(() => { this.resting = null; this.plan(); }, REST_AFTER);
        this.plan();
    }

    toWorld(x, y) { return this.camera.toWorld(x - this.painter.left, y - this.painter.head); }

    at(x, y) {
        if (!this.jobs || x < this.painter.left || y < this.painter.head) return null;
        const [worldX, worldY] = this.toWorld(x, y);
        return this.within(worldX, worldY, worldX, worldY).at(-1) ?? null;
    }

    /** Returns the run or the wrapper at a place. */
    spanAt(x, y) {
        if (!this.jobs || x < this.painter.left || y < this.painter.head) return null;
        const [worldX, worldY] = this.toWorld(x, y);
        return this.jobs.spans.find((span) => span.x <= worldX && worldX <= span.x + span.width && span.y <= worldY && worldY <= span.y + 1) ?? null;
    }

    /** Returns the places of the jobs whose boxes touch a rectangle. */
    within(left, top, right, bottom) {
        const { x, y, width, height, count } = this.jobs, found = [];
        const isPoint = left === right && top === bottom;
        for (let i = 0; i < count; i += 1) {
            const isBeside = isPoint ? x[i] > left || x[i] + width[i] < left || y[i] > top || y[i] + height[i] < top
                : x[i] >= right || x[i] + width[i] <= left || y[i] >= bottom || y[i] + height[i] <= top;
            if (!isBeside) found.push(i);
        }
        return found;
    }

    open(i, isApart) {
        // Servers decode once, and the portal what is left: a slash in a name is none in the address.
        this.visit(`${this.box.dataset.jobs}${encodeURIComponent(encodeURIComponent(this.jobs.names[i]))}/`, isApart);
    }

    visit(address, isApart) {
        this.link.href = address;
        this.link.target = isApart ? "_blank" : "";
        this.link.click();
    }

    focus(i) {
        const { x, y, width, height } = this.jobs;
        this.focused = i;
        this.camera.reveal(x[i], y[i], x[i] + width[i], y[i] + height[i]);
        this.tell();
        this.plan();
    }

    /** Says what the job is that the keys have come to; nothing where it is gone. */
    tell() {
        const i = this.focused;
        const isChosen = i !== null && this.choice.ids.has(this.jobs.ids[i]);
        this.told.textContent = i === null ? "" : describe(this.jobs, i, this.clock) + (isChosen ? ` · ${say("chosen")}` : "");
    }

    /** Returns the nearest job in a direction; the one in view first when none is told yet. */
    next(dx, dy) {
        const { x, y, width, height, count } = this.jobs, from = this.focused;
        if (from === null) return this.within(this.camera.x, this.camera.y, Infinity, Infinity)[0] ?? null;
        const [midX, midY] = [x[from] + width[from] / 2, y[from] + height[from] / 2];
        let best = null, least = Infinity;
        for (let i = 0; i < count; i += 1) {
            const [awayX, awayY] = [x[i] + width[i] / 2 - midX, y[i] + height[i] / 2 - midY];
            const ahead = (dx * awayX * this.camera.sx) + (dy * awayY * this.camera.sy);
            if (i === from || ahead <= 1e-6) continue;
            const far = ahead + 4 * Math.abs((dx ? awayY * this.camera.sy : awayX * this.camera.sx));
            if (far < least) [best, least] = [i, far];
        }
        return best;
    }

    listen() {
        const { canvas, box } = this;
        const on = (name, work, options) => canvas.addEventListener(name, work.bind(this), options);
        on("pointerdown", this.pressed);
        on("pointermove", this.dragged);
        on("pointerup", this.released);
        on("pointercancel", this.left);
        on("pointerleave", this.left);
        on("wheel", this.wheeled, { passive: false });
        on("keydown", this.typed);
        for (const button of box.querySelectorAll("[data-zoom]")) {
            button.addEventListener("click", () => this.zoom({ in: 1.5, out: 1 / 1.5, all: 0 }[button.dataset.zoom]));
        }
        const recolor = () => { this.painter.readColors(); this.plan(); };
        window.matchMedia?.("(prefers-color-scheme: dark)").addEventListener("change", recolor);
        new MutationObserver(recolor).observe(document.documentElement, { attributeFilter: ["data-theme"] });
        window.addEventListener("resize", () => this.resize());
        document.addEventListener("portal:refreshed", () => this.load());
    }

    /** Zooms at a point, or at the middle; 0 shows everything. */
    zoom(times, x = this.camera.view.width / 2, y = this.camera.view.height / 2) {
        if (!this.jobs) return;
        if (times) this.camera.zoom(times, x, y);
        else {
            this.camera.isWhole = true;
            this.camera.show(this.jobs, this.camera.view);
        }
        this.moved();
    }

    where(event) {
        const { left, top } = this.canvas.getBoundingClientRect();
        return [event.clientX - left, event.clientY - top];
    }

    pressed(event) {
        const [x, y] = this.where(event);
        this.canvas.setPointerCapture?.(event.pointerId);
        this.pointers.set(event.pointerId, { x, y, fromX: x, fromY: y, hasMoved: false });
        this.tip.hidden = true;
        if (event.button === 1) event.preventDefault();
    }

    dragged(event) {
        const [x, y] = this.where(event), pointer = this.pointers.get(event.pointerId);
        if (!this.jobs) return;
        if (!pointer) {
            this.hover(this.at(x, y), this.spanAt(x, y), x, y);
            return;
        }
        if (this.pointers.size === 2) this.pinch(pointer, x, y);
        pointer.hasMoved ||= Math.hypot(x - pointer.fromX, y - pointer.fromY) > CLICK_PIXELS;
        if (pointer.hasMoved && this.pointers.size === 1) {
            if (this.choice.isOn && event.buttons !== 4) {
                this.rectangle = [pointer.fromX, pointer.fromY, x, y];
                this.plan();
            } else {
                if (this.camera.move(x - pointer.x, y - pointer.y)) this.moved();
            }
        }
        [pointer.x, pointer.y] = [x, y];
    }

    pinch(pointer, x, y) {
        const other = [...this.pointers.values()].find((one) => one !== pointer);
        const before = Math.hypot(pointer.x - other.x, pointer.y - other.y), after = Math.hypot(x - other.x, y - other.y);
        pointer.hasMoved = other.hasMoved = true;
        this.rectangle = null;
        this.camera.move((x - pointer.x) / 2, (y - pointer.y) / 2);
        if (before > 0) this.zoom(after / before, (x + other.x) / 2 - this.painter.left, (y + other.y) / 2 - this.painter.head);
    }

    released(event) {
        const pointer = this.pointers.get(event.pointerId);
        this.pointers.delete(event.pointerId);
        if (!pointer || !this.jobs) return;
        if (this.rectangle) this.chooseRectangle();
        else if (!pointer.hasMoved && event.button === 0) this.clicked(event, pointer.x, pointer.y);
    }

    chooseRectangle() {
        const [x, y, toX, toY] = this.rectangle;
        const [left, top] = this.toWorld(Math.min(x, toX), Math.min(y, toY));
        this.rectangle = null;
        this.choice.add(this.within(left, top, ...this.toWorld(Math.max(x, toX), Math.max(y, toY))));
    }

    clicked(event, x, y) {
        const i = this.at(x, y), span = this.spanAt(x, y), isApart = event.ctrlKey || event.metaKey, { choice } = this;
        if (span) this.visit(span.address, isApart);
        else if (choice.form && x < this.painter.left) this.chooseBand(x, y);
        else if (i === null) return;
        else if (choice.form && event.shiftKey) choice.extend(i);
        else if (choice.isOn) choice.toggle(i);
        else this.open(i, isApart);
    }

    /** Chooses the jobs of the section or the row whose name is at a place. */
    chooseBand(x, y) {
        const bands = x < this.painter.groupWidth ? this.jobs.groups : this.jobs.rows;
        const [, at] = this.toWorld(x, y);
        const band = bands.find(([, start, length]) => start <= at && at < start + length);
        if (band) this.choice.toggleAll(this.within(-Infinity, band[1], Infinity, band[1] + band[2]));
    }

    left(event) {
        this.pointers.delete(event.pointerId);
        this.rectangle = null;
        this.hover(null, null);
    }

    hover(i, span, x, y) {
        if (i !== this.hovered || span !== this.pointed) {
            [this.hovered, this.pointed] = [i, span];
            this.canvas.style.cursor = i === null && !span ? "" : "pointer";
            if (span) this.tip.textContent = describeSpan(span, this.jobs.origin, this.clock);
            else if (i !== null) this.tip.textContent = describe(this.jobs, i, this.clock);
            this.plan();
        }
        this.tip.hidden = i === null && !span;
        if (this.tip.hidden) return;
        this.tip.style.left = `${Math.max(0, Math.min(x, this.canvas.clientWidth - 320))}px`;
        this.tip.style.top = `${this.canvas.offsetTop + y + 18}px`;
    }

    wheeled(event) {
        if (!this.jobs) return;
        const [x, y] = this.where(event);
        if (event.shiftKey) this.camera.move(-(event.deltaX || event.deltaY), 0);
        else if (event.deltaY > 0 && this.camera.isWhole && !event.ctrlKey) return; // the page scrolls
        else this.camera.zoom(Math.exp(-0.0018 * event.deltaY), x - this.painter.left, y - this.painter.head);
        event.preventDefault();
        this.moved();
    }

    typed(event) {
        if (!this.jobs || event.ctrlKey || event.metaKey || event.altKey) return;
        const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
        const work = arrow ? () => this.step(...arrow, event.shiftKey) : this.keys()[event.key];
        if (!work) return;
        event.preventDefault();
        work();
    }

    keys() {
        const { focused, choice } = this;
        const keys = { "+": () => this.zoom(1.5), "=": () => this.zoom(1.5), "-": () => this.zoom(1 / 1.5), 0: () => this.zoom(0) };
        if (focused !== null) keys.Enter = () => this.open(focused);
        if (focused !== null && choice.form) keys[" "] = () => { choice.toggle(focused); this.focus(focused); };
        return keys;
    }

    step(dx, dy, isMove) {
        if (isMove) {
            this.camera.move(-60 * dx, -60 * dy);
            this.moved();
            return;
        }
        const next = this.next(dx, dy);
        if (next !== null) this.focus(next);
    }
}

// A page that had no jobs before may get its picture by a refresh.
const started = new WeakSet();

function start() {
    for (const box of document.querySelectorAll("[data-picture]")) {
        if (!started.has(box)) new Picture(box);
        started.add(box);
    }
}

start();
document.addEventListener("portal:refreshed", start);
