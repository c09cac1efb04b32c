// Follows an output that grows: [data-output="address"] holds a <pre> and knows the bytes that it shows. It scrolls
// along with the end until the reader scrolls up. The HTML comes escaped from the portal (output.py). One with a form
// [data-output-search] is searched too: a match far from the end is shown alone, with what is around it.

const FOLLOW_EVERY = 1000;
const SLOWEST = 3; // times that, while nothing is written
const SHOWN_CHARACTERS = 2_000_000;

class Output {
    constructor(box) {
        this.box = box;
        this.address = box.dataset.output;
        this.file = box.dataset.file ?? "";
        this.screen = box.querySelector("pre");
        this.note = box.querySelector("[data-output-note]");
        this.earlier = box.querySelector("[data-output-earlier]");
        this.later = box.querySelector("[data-output-later]");
        this.start = "start" in box.dataset ? Number(box.dataset.start) : null;
        this.end = "end" in box.dataset ? Number(box.dataset.end) : null;
        this.html = null; // of the last piece
        this.stamp = ""; // of the last piece; asked for with it, the same is not sent again
        this.pace = 1;
        this.isOver = box.dataset.over === "true";
        this.isAtEnd = true;
        this.isAway = false; // shows a place before the end, which it does not follow then
        this.screen.addEventListener("scroll", () => this.scrolled());
        this.earlier?.addEventListener("click", () => this.attempt(() => this.showEarlier()));
        this.later?.addEventListener("click", () => this.attempt(() => this.showLater()));
        this.box.querySelector("[data-output-end]")?.addEventListener("click", () => this.attempt(() => this.followEnd()));
        const form = box.querySelector("[data-output-search]");
        if (form) new Search(this, form);
        this.toEnd();
        this.follow();
    }

    // The host may be away: a click that finds nothing says so.
    async attempt(step) {
        try {
            await step();
        } catch {
            if (this.note) this.note.textContent = say("Cannot be read now. Try again.");
        }
    }

    scrolled() {
        const { scrollTop, scrollHeight, clientHeight } = this.screen;
        this.isAtEnd = !this.isAway && scrollHeight - scrollTop - clientHeight < 24;
        this.box.classList.toggle("is-behind", !this.isAtEnd);
    }

    toEnd() {
        this.screen.scrollTop = this.screen.scrollHeight;
        this.scrolled();
    }

    async followEnd() {
        if (this.isAway) {
            const piece = await this.ask({});
            this.isAway = false;
            this.replace(piece);
        }
        this.toEnd();
    }

    async ask(query) {
        return (await this.fetch(query)).json();
    }

    async fetch(query, headers = {}) {
        const asked = new URLSearchParams(this.file ? { ...query, file: this.file } : query);
        const answer = await fetch(`${this.address}?${asked}`, { headers }); // who accepts JSON only is taken for a program
        if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
        return answer;
    }

    // Asks for what comes after what is shown; null if nothing does.
    async askAfter(end) {
        const answer = await this.fetch(end === null ? {} : { after: end }, { "Portal-Stamp": this.stamp });
        this.stamp = answer.headers.get("Portal-Stamp") ?? this.stamp;
        return answer.status === 204 ? null : answer.json();
    }

    async follow() {
        if (this.isOver) return;
        let wait = FOLLOW_EVERY * this.pace;
        if (!document.hidden && !this.isAway && this.isShown()) {
            try {
                const end = this.end;
                const piece = await this.askAfter(end);
                this.pace = piece === null ? Math.min(SLOWEST, this.pace * 1.1) : 1;
                // Meanwhile the reader may have gone elsewhere, and even come back.
                const isOurs = !this.isAway && this.end === end;
                if (piece && !isOurs) this.stamp = "";
                if (piece && isOurs && this.take(piece)) wait = 50;
            } catch {
                wait = 5 * FOLLOW_EVERY;
            }
        }
        if (this.box.isConnected) setTimeout(() => this.follow(), wait);
    }

    isShown() {
        const details = this.box.closest("details");
        return !details || details.open;
    }

    // Adds a piece; answers whether there is more to fetch at once. The beginning of a line that was shown for now is
    // replaced by the line.
    take(piece) {
        if (piece.is_reset) this.screen.replaceChildren();
        if (piece.is_reset || this.start === null) this.start = piece.start;
        const hasMoved = piece.end !== this.end;
        const hasNews = hasMoved || piece.is_reset || piece.html !== this.html;
        if (hasNews) {
            this.unfinished()?.remove();
            this.screen.insertAdjacentHTML("beforeend", piece.html);
            this.trim();
        }
        this.html = piece.html;
        this.end = piece.end;
        this.file = piece.file ?? "";
        this.isOver ||= piece.is_over && piece.end >= piece.size;
        this.describe(piece.size);
        if (hasNews && this.isAtEnd) this.toEnd();
        return hasMoved && piece.shown < piece.size;
    }

    // The beginning of a line that may go on.
    unfinished() {
        return this.screen.querySelector("[data-output-unfinished]");
    }

    // Shows a piece instead of what is there.
    replace(piece) {
        this.take({ ...piece, is_reset: true });
    }

    // A page that follows for days must not grow without bound.
    trim() {
        if (this.screen.textContent.length < SHOWN_CHARACTERS) return;
        const unfinished = this.unfinished();
        unfinished?.remove();
        const kept = this.screen.textContent.slice(-SHOWN_CHARACTERS / 2);
        this.screen.textContent = kept.slice(kept.indexOf("\n") + 1);
        if (unfinished) this.screen.append(unfinished);
        this.start = null;
    }

    async showEarlier() {
        const piece = await this.ask({ before: this.start });
        if (piece.is_reset) return this.replace(piece); // another file has taken its place
        const height = this.screen.scrollHeight;
        this.screen.insertAdjacentHTML("afterbegin", piece.html);
        this.screen.scrollTop += this.screen.scrollHeight - height;
        this.start = piece.start;
        this.describe(piece.size);
    }

    async showLater() {
        const place = this.screen.scrollTop;
        const piece = await this.ask({ beyond: this.end });
        this.take(piece);
        if (!piece.is_reset) this.screen.scrollTop = place;
        this.isAway = piece.shown < piece.size;
        this.describe(piece.size);
        this.scrolled();
    }

    // Shows the lines around a place, with what is there marked.
    async showPlace(offset, length) {
        this.isAway = true;
        const piece = await this.ask({ at: offset, length });
        this.replace(piece);
        this.isAway = piece.shown < piece.size;
        this.describe(piece.size);
        const mark = this.screen.querySelector("mark");
        if (mark) this.screen.scrollTop += mark.getBoundingClientRect().top - this.screen.getBoundingClientRect().top - this.screen.clientHeight / 3;
        this.scrolled();
    }

    describe(size) {
        const values = { size: writeNumber(size), part: Math.floor((100 * this.start) / size) };
        const told = this.isAway ? "{size} bytes, at {part} %" : "{size} bytes";
        if (this.note) this.note.textContent = size ? say(told, values) : say("Nothing printed yet");
        if (this.earlier) this.earlier.hidden = !this.start;
        if (this.later) this.later.hidden = !this.isAway;
    }
}

// The search of an output. Matches are fetched as far as they are gone to; the portal bounds the time of each answer.
class Search {
    constructor(output, form) {
        this.output = output;
        this.form = form;
        this.said = form.querySelector("[data-search-said]");
        this.turn = 0;
        this.reset();
        form.addEventListener("submit", (event) => {
            event.preventDefault();
            this.go(1);
        });
        form.addEventListener("input", () => this.reset());
        form.querySelector("[data-search-previous]").addEventListener("click", () => this.go(-1));
    }

    get text() {
        return this.form.elements.search.value;
    }

    reset() {
        this.turn += 1; // what is under way for another text is left
        this.matches = [];
        this.at = -1;
        this.next = { offset: 0, line: 1 };
        this.isComplete = false;
        this.say("");
    }

    async go(step) {
        if (!this.text) return;
        const turn = this.turn;
        try {
            const wanted = Math.max(this.at, step < 0 ? 0 : -1) + step;
            while (!this.isComplete && (wanted < 0 || wanted >= this.matches.length) && this.matches.length < 10_000) {
                await this.more();
                if (turn !== this.turn) return;
            }
            await this.show((wanted + this.matches.length) % (this.matches.length || 1));
        } catch {
            if (turn === this.turn) this.say(say("Cannot be searched now"));
        }
    }

    async more() {
        const query = { search: this.text, ...this.next };
        if (!this.form.elements.exact.checked) query.ignore_case = "1";
        const turn = this.turn;
        const found = await this.output.ask(query);
        if (turn !== this.turn) return;
        this.matches.push(...found.matches);
        this.next = { offset: found.next_offset, line: found.next_line };
        this.isComplete = found.is_complete;
        const part = found.size ? Math.floor((100 * found.next_offset) / found.size) : 100;
        if (!this.isComplete) this.say(say("Searched {part} %", { part }));
    }

    async show(index) {
        const match = this.matches[index];
        if (!match) return this.say(say("Not found"));
        this.at = index;
        const all = writeNumber(this.matches.length) + (this.isComplete ? "" : "+");
        this.say(say("{number} of {all}, line {line}", { number: writeNumber(index + 1), all, line: writeNumber(match.line) }));
        await this.output.showPlace(match.offset, match.length);
    }

    say(text) {
        this.said.textContent = text;
    }
}

const known = new WeakSet();

function scan() {
    for (const box of document.querySelectorAll("[data-output]")) {
        if (known.has(box)) continue;
        known.add(box);
        new Output(box);
    }
}

scan();
document.addEventListener("portal:refreshed", scan);
