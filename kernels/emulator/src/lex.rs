//! PTX text to tokens, each with its line.

use crate::error::{ParseError, Problem};

/// A piece of PTX text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Token<'a> {
    /// A directive, opcode, register, label or symbol; dots and `::` belong to it.
    Word(&'a str),
    /// A literal as 64 bits: integers in two's complement, `0f` literals in the low half.
    Number(u64),
    /// The text between double quotes.
    Text(&'a str),
    /// Anything else, one character.
    Punctuation(char),
}

/// Splits `text`, comments dropped, into tokens with their lines (counted from 1).
pub(crate) fn tokens(text: &str) -> Result<Vec<(Token<'_>, u32)>, ParseError> {
    let mut out = Vec::with_capacity(text.len() / 4);
    let mut rest = text;
    let mut line = 1u32;
    while let Some(first) = rest.chars().next() {
        if first == '\n' {
            line += 1;
            rest = &rest[1..];
        } else if first.is_whitespace() {
            rest = &rest[first.len_utf8()..];
        } else if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("/*") {
            let end = rest
                .find("*/")
                .ok_or_else(|| Problem::UnclosedComment.at(line))?;
            line += newlines(&rest[..end]);
            rest = &rest[end + 2..];
        } else if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted
                .find('"')
                .ok_or_else(|| Problem::UnclosedText.at(line))?;
            out.push((Token::Text(&quoted[..end]), line));
            line += newlines(&quoted[..end]);
            rest = &quoted[end + 1..];
        } else if first.is_ascii_digit() {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '.'))
                .unwrap_or(rest.len());
            let number = number(&rest[..end])
                .ok_or_else(|| Problem::BadNumber(rest[..end].into()).at(line))?;
            out.push((Token::Number(number), line));
            rest = &rest[end..];
        } else if is_word_start(first) {
            let end = word_end(rest);
            out.push((Token::Word(&rest[..end]), line));
            rest = &rest[end..];
        } else {
            out.push((Token::Punctuation(first), line));
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(out)
}

fn newlines(text: &str) -> u32 {
    text.bytes().filter(|&byte| byte == b'\n').count() as u32
}

fn is_word_start(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '_' | '$' | '%' | '.')
}

fn word_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut end = 1;
    while end < bytes.len() {
        match bytes[end] {
            b'_' | b'$' | b'%' | b'.' => end += 1,
            c if c.is_ascii_alphanumeric() => end += 1,
            // `.shared::cta` is one word, the colon after a label is not part of it.
            b':' if bytes.get(end + 1) == Some(&b':') => end += 2,
            _ => break,
        }
    }
    end
}

/// `12`, `12U`, `0x1F`, `017`, `0b101`, `0f3F800000`, `0d3FF0000000000000`, `1.5`.
fn number(text: &str) -> Option<u64> {
    let hexadecimal = |digits: &str, len: usize| {
        (digits.len() == len)
            .then(|| u64::from_str_radix(digits, 16).ok())
            .flatten()
    };
    match text.get(..2) {
        Some("0f" | "0F") => return hexadecimal(&text[2..], 8),
        Some("0d" | "0D") => return hexadecimal(&text[2..], 16),
        _ => {}
    }
    if text.contains('.') {
        return text.parse::<f64>().ok().map(f64::to_bits);
    }
    let digits = text.strip_suffix('U').unwrap_or(text);
    match digits.get(..2) {
        Some("0x" | "0X") => u64::from_str_radix(&digits[2..], 16).ok(),
        Some("0b" | "0B") => u64::from_str_radix(&digits[2..], 2).ok(),
        _ if digits.len() > 1 && digits.starts_with('0') => u64::from_str_radix(digits, 8).ok(),
        _ => digits.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Token::{Number, Punctuation, Word};

    #[test]
    fn lines_labels_and_literals() {
        let text = "$L1: // note\n/* two\nlines */ mov.f32 %f1, 0f3F800000;\nld.shared::cta.u32";
        let expected = [
            (Word("$L1"), 1),
            (Punctuation(':'), 1),
            (Word("mov.f32"), 3),
            (Word("%f1"), 3),
            (Punctuation(','), 3),
            (Number(0x3F80_0000), 3),
            (Punctuation(';'), 3),
            (Word("ld.shared::cta.u32"), 4),
        ];
        assert_eq!(tokens(text).unwrap(), expected);
    }

    #[test]
    fn numbers_in_every_base() {
        for (text, value) in [("0x10U", 16), ("017", 15), ("0b101", 5), ("42", 42)] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        assert_eq!(number("0f3F8"), None);
        assert_eq!(number("99999999999999999999"), None);
    }
}
