//! One line of a shipped kernel's PTX, found and changed.

/// Replaces the `nth` occurrence of `from` in kernel `kernel` and returns the text and the line.
pub(crate) fn mutate(text: &str, kernel: &str, nth: usize, from: &str, to: &str) -> (String, u32) {
    let start = text.find(&format!(".entry {kernel}(")).expect("the kernel");
    let end = text[start + 1..]
        .find(".entry")
        .map_or(text.len(), |i| start + 1 + i);
    let (at, _) = text[start..end]
        .match_indices(from)
        .nth(nth)
        .expect("the place");
    let at = start + at;
    let line = text[..at].matches('\n').count() as u32 + 1;
    (
        format!("{}{to}{}", &text[..at], &text[at + from.len()..]),
        line,
    )
}

/// The `nth` instruction of a kernel that begins so, as written.
pub(crate) fn first_line<'t>(text: &'t str, kernel: &str, nth: usize, opcode: &str) -> &'t str {
    let start = text.find(&format!(".entry {kernel}(")).expect("the kernel");
    let line = text[start..]
        .lines()
        .filter(|line| line.trim_start().starts_with(opcode))
        .nth(nth);
    line.expect("the instruction").trim()
}

/// The line that says which lanes take part in a kernel's shuffles: all.
#[allow(dead_code, reason = "not every test file looks at shuffles")]
pub(crate) fn member_mask<'t>(text: &'t str, kernel: &str) -> &'t str {
    let start = text.find(&format!(".entry {kernel}(")).expect("the kernel");
    let line = text[start..]
        .lines()
        .find(|line| line.contains("mov.u32") && line.ends_with(" -1;"));
    line.expect("the member mask").trim()
}

/// The text of one kernel, from its name to the next one's.
#[allow(dead_code, reason = "not every test file goes through whole kernels")]
pub(crate) fn body<'t>(text: &'t str, kernel: &str) -> &'t str {
    let start = text.find(&format!(".entry {kernel}(")).expect("the kernel");
    let end = text[start + 1..].find(".entry");
    &text[start..end.map_or(text.len(), |end| start + 1 + end)]
}
