//! Tokens to declarations, functions and statements. Names stay names, opcodes stay text.

use crate::ast::{Base, Function, Item, Operand, Source, Statement, Variable};
use crate::error::{ParseError, Problem};
use crate::lex::{Token, tokens};
use crate::types::Type;

struct Parser<'a> {
    tokens: Vec<(Token<'a>, u32)>,
    at: usize,
}

/// Parses a whole PTX file.
pub(crate) fn parse(text: &str) -> Result<Source<'_>, ParseError> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
    };
    let mut source = Source::default();
    while parser.at < parser.tokens.len() {
        parser.top_level(&mut source)?;
    }
    Ok(source)
}

impl<'a> Parser<'a> {
    fn line(&self) -> u32 {
        let last = self.tokens.last().map_or(1, |token| token.1);
        self.tokens.get(self.at).map_or(last, |token| token.1)
    }

    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at).map(|token| token.0)
    }

    fn next(&mut self) -> Result<Token<'a>, ParseError> {
        let token = self
            .peek()
            .ok_or_else(|| Problem::UnexpectedEnd.at(self.line()))?;
        self.at += 1;
        Ok(token)
    }

    /// The error that the token before this one is not `expected`.
    fn unexpected<T>(&self, expected: &'static str) -> Result<T, ParseError> {
        let (token, line) = self.tokens[self.at - 1];
        let found = match token {
            Token::Word(word) => word.to_owned(),
            Token::Number(number) => number.to_string(),
            Token::Text(text) => format!("{text:?}"),
            Token::Punctuation(c) => c.to_string(),
        };
        Err(Problem::Unexpected { expected, found }.at(line))
    }

    fn take(&mut self, c: char) -> bool {
        let found = self.peek() == Some(Token::Punctuation(c));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, c: char, expected: &'static str) -> Result<(), ParseError> {
        match self.next()? {
            Token::Punctuation(found) if found == c => Ok(()),
            _ => self.unexpected(expected),
        }
    }

    fn word(&mut self, expected: &'static str) -> Result<&'a str, ParseError> {
        match self.next()? {
            Token::Word(word) => Ok(word),
            _ => self.unexpected(expected),
        }
    }

    fn number(&mut self) -> Result<u64, ParseError> {
        let negative = self.take('-');
        match self.next()? {
            Token::Number(number) if negative => Ok(number.wrapping_neg()),
            Token::Number(number) => Ok(number),
            _ => self.unexpected("a number"),
        }
    }

    fn small_number(&mut self, what: &'static str) -> Result<u32, ParseError> {
        let line = self.line();
        u32::try_from(self.number()?).map_err(|_| Problem::TooLarge(what).at(line))
    }

    /// Skips a directive that ends with its line.
    fn skip_line(&mut self) {
        let line = self.tokens[self.at - 1].1;
        while self.tokens.get(self.at).is_some_and(|t| t.1 == line) {
            self.at += 1;
        }
    }

    fn skip_to(&mut self, c: char) -> Result<(), ParseError> {
        while self.next()? != Token::Punctuation(c) {}
        Ok(())
    }

    fn top_level(&mut self, source: &mut Source<'a>) -> Result<(), ParseError> {
        match self.word("a directive")? {
            ".version" => {
                let version = f64::from_bits(self.number()?);
                source.version = format!("{version:.1}");
            }
            ".target" => {
                source.target = self.word("an architecture")?;
                self.skip_line();
            }
            ".address_size" => {
                if self.number()? != 64 {
                    return self.unexpected("64");
                }
            }
            ".file" | ".loc" => self.skip_line(),
            ".section" => self.skip_to('}')?,
            ".pragma" => self.skip_to(';')?,
            ".visible" | ".extern" | ".weak" | ".common" => {}
            ".entry" => {
                let function = self.function(true)?;
                source.functions.push(function);
            }
            ".func" => {
                let function = self.function(false)?;
                source.functions.push(function);
            }
            space @ (".const" | ".global" | ".shared") => {
                let variables = self.declarations(&space[1..])?;
                source.variables.extend(variables);
            }
            other => {
                return Err(
                    Problem::UnsupportedDirective(other.into()).at(self.tokens[self.at - 1].1)
                );
            }
        }
        Ok(())
    }

    fn function(&mut self, is_kernel: bool) -> Result<Function<'a>, ParseError> {
        while self.peek() == Some(Token::Word(".noreturn")) {
            self.at += 1;
        }
        let results = if self.take('(') {
            self.parameters()?
        } else {
            Vec::new()
        };
        let line = self.line();
        let name = self.word("a function's name")?;
        let parameters = if self.take('(') {
            self.parameters()?
        } else {
            Vec::new()
        };
        let (mut max_threads, mut required_threads) = (None, None);
        let body = loop {
            match self.next()? {
                Token::Punctuation('{') => break Some(self.body()?),
                Token::Punctuation(';') => break None,
                Token::Word(".maxntid") => max_threads = Some(self.threads()?),
                Token::Word(".reqntid") => required_threads = Some(self.threads()?),
                Token::Word(".minnctapersm" | ".maxnreg" | ".maxnctapersm") => {
                    self.number()?;
                }
                Token::Word(".pragma") => self.skip_to(';')?,
                Token::Word(".noreturn") => {}
                _ => return self.unexpected("a function's body"),
            }
        };
        Ok(Function {
            line,
            name,
            is_kernel,
            results,
            parameters,
            max_threads,
            required_threads,
            body,
        })
    }

    /// Up to three numbers; those left out are 1.
    fn threads(&mut self) -> Result<[u32; 3], ParseError> {
        let mut threads = [1; 3];
        for (i, count) in threads.iter_mut().enumerate() {
            if i > 0 && !self.take(',') {
                break;
            }
            *count = self.small_number("a number of threads")?;
        }
        Ok(threads)
    }

    fn parameters(&mut self) -> Result<Vec<Variable<'a>>, ParseError> {
        let mut parameters = Vec::new();
        if self.take(')') {
            return Ok(parameters);
        }
        loop {
            match self.word("a parameter")? {
                space @ (".param" | ".reg") => parameters.push(self.declaration(&space[1..])?),
                _ => return self.unexpected("a parameter"),
            }
            if !self.take(',') {
                self.expect(')', "the end of the parameters")?;
                return Ok(parameters);
            }
        }
    }

    /// Declarations of one type up to the semicolon.
    fn declarations(&mut self, space: &'a str) -> Result<Vec<Variable<'a>>, ParseError> {
        let start = self.at;
        let mut variables = vec![self.declaration(space)?];
        while self.take(',') {
            // The type stands before the first name only: read it again for each.
            let after = self.at;
            self.at = start;
            let mut next = self.declared_type(space)?;
            self.at = after;
            self.declared_name(&mut next)?;
            variables.push(next);
        }
        self.expect(';', "the end of a declaration")?;
        Ok(variables)
    }

    fn declaration(&mut self, space: &'a str) -> Result<Variable<'a>, ParseError> {
        let mut variable = self.declared_type(space)?;
        self.declared_name(&mut variable)?;
        Ok(variable)
    }

    fn declared_type(&mut self, space: &'a str) -> Result<Variable<'a>, ParseError> {
        let (mut align, mut element, mut vector) = (0, None, 1);
        let line = self.line();
        while let Some(Token::Word(word)) = self.peek() {
            let Some(word) = word.strip_prefix('.') else {
                break;
            };
            self.at += 1;
            match word {
                "align" => {
                    let value = self.small_number("an alignment")? as usize;
                    if !value.is_power_of_two() || value > 4096 {
                        return self.unexpected("an alignment");
                    }
                    align = value;
                }
                "ptr" | "global" | "const" | "shared" | "local" => {}
                "v2" => vector = 2,
                "v4" => vector = 4,
                _ => match Type::parse(word) {
                    Some(ty) => element = Some(ty),
                    None => return Err(Problem::UnsupportedDirective(word.into()).at(line)),
                },
            }
        }
        let element = element.ok_or_else(|| {
            Problem::Unexpected {
                expected: "a type",
                found: "a declaration without one".into(),
            }
            .at(line)
        })?;
        Ok(Variable {
            line,
            name: "",
            space,
            element,
            align: align.max(usize::from(element.size()) * vector),
            len: Some(vector),
            range: false,
            initial: Vec::new(),
        })
    }

    fn declared_name(&mut self, variable: &mut Variable<'a>) -> Result<(), ParseError> {
        variable.name = self.word("a name")?;
        if self.take('<') {
            variable.len = Some(self.small_number("a range of registers")? as usize);
            variable.range = true;
            self.expect('>', "the end of a range")?;
        }
        while self.take('[') {
            if self.take(']') {
                variable.len = None;
                continue;
            }
            let len = self.small_number("an array")? as usize;
            variable.len = match variable.len {
                Some(outer) => Some(
                    outer
                        .checked_mul(len)
                        .ok_or_else(|| Problem::TooLarge("an array").at(variable.line))?,
                ),
                None => None,
            };
            self.expect(']', "the end of an array's length")?;
        }
        if self.take('=') {
            variable.initial = self.initial()?;
            let given = variable.initial.len();
            match variable.len {
                None => variable.len = Some(given),
                Some(len) if given > len => return self.unexpected("no more values than elements"),
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// A value, or values in braces, nested as the array is.
    fn initial(&mut self) -> Result<Vec<u64>, ParseError> {
        let (mut values, mut depth) = (Vec::new(), 0);
        loop {
            if self.take('{') {
                depth += 1;
            } else if self.take('}') {
                depth -= 1;
            } else if !self.take(',') {
                values.push(self.number()?);
            }
            if depth == 0 {
                return Ok(values);
            }
        }
    }

    /// A function's body after its opening brace.
    fn body(&mut self) -> Result<Vec<Item<'a>>, ParseError> {
        let (mut items, mut depth) = (Vec::new(), 0);
        loop {
            let line = self.line();
            match self.next()? {
                Token::Punctuation('{') => {
                    depth += 1;
                    items.push(Item::Open);
                }
                Token::Punctuation('}') if depth == 0 => return Ok(items),
                Token::Punctuation('}') => {
                    depth -= 1;
                    items.push(Item::Close);
                }
                Token::Punctuation(';') => {}
                Token::Punctuation('@') => {
                    let negated = self.take('!');
                    let register = self.word("a predicate")?;
                    let opcode = self.word("an instruction")?;
                    let guard = Some((register, negated));
                    items.push(Item::Statement(self.statement(line, guard, opcode)?));
                }
                Token::Word(space @ (".reg" | ".shared" | ".local" | ".param")) => {
                    let variables = self.declarations(&space[1..])?;
                    items.extend(variables.into_iter().map(Item::Declaration));
                }
                Token::Word(".loc" | ".file") => self.skip_line(),
                Token::Word(".pragma") => self.skip_to(';')?,
                Token::Word(word) if word.starts_with('.') => {
                    return Err(Problem::UnsupportedDirective(word.into()).at(line));
                }
                Token::Word(label) if self.take(':') => items.push(Item::Label(label, line)),
                Token::Word(opcode) => {
                    items.push(Item::Statement(self.statement(line, None, opcode)?));
                }
                _ => return self.unexpected("an instruction"),
            }
        }
    }

    fn statement(
        &mut self,
        line: u32,
        guard: Option<(&'a str, bool)>,
        opcode: &'a str,
    ) -> Result<Statement<'a>, ParseError> {
        let mut operands = Vec::new();
        if !self.take(';') {
            loop {
                operands.push(self.operand()?);
                if !self.take(',') {
                    self.expect(';', "the end of an instruction")?;
                    break;
                }
            }
        }
        Ok(Statement {
            line,
            guard,
            opcode,
            operands,
        })
    }

    fn operand(&mut self) -> Result<Operand<'a>, ParseError> {
        Ok(match self.next()? {
            Token::Number(number) => Operand::Number(number),
            Token::Punctuation('-') => Operand::Number(self.number()?.wrapping_neg()),
            Token::Punctuation('!') => Operand::Not(self.word("a predicate")?),
            Token::Punctuation('{') => Operand::Vector(self.operands('}')?),
            Token::Punctuation('(') => Operand::Group(self.operands(')')?),
            Token::Punctuation('[') => {
                let base = match self.next()? {
                    Token::Word(name) => Base::Name(name),
                    Token::Number(number) => Base::Number(number),
                    _ => return self.unexpected("an address"),
                };
                let offset = self.offset()?;
                self.expect(']', "the end of an address")?;
                Operand::Address(base, offset)
            }
            Token::Word(name) if self.take('|') => Operand::Pair(name, self.word("a register")?),
            Token::Word(name) => match self.offset()? {
                0 => Operand::Name(name),
                offset => Operand::Sum(name, offset),
            },
            _ => return self.unexpected("an operand"),
        })
    }

    /// `+8`, `-8`, `+-8` or nothing.
    fn offset(&mut self) -> Result<i64, ParseError> {
        if self.take('+') {
            return Ok(self.number()? as i64);
        }
        match self.peek() {
            Some(Token::Punctuation('-')) => Ok(self.number()? as i64),
            _ => Ok(0),
        }
    }

    /// Plain operands up to the closing bracket.
    fn operands(&mut self, close: char) -> Result<Vec<Operand<'a>>, ParseError> {
        let mut operands = Vec::new();
        if self.take(close) {
            return Ok(operands);
        }
        loop {
            operands.push(match self.next()? {
                Token::Word(name) => Operand::Name(name),
                Token::Number(number) => Operand::Number(number),
                Token::Punctuation('-') => Operand::Number(self.number()?.wrapping_neg()),
                _ => return self.unexpected("a register or a number"),
            });
            if !self.take(',') {
                self.expect(close, "the end of a list")?;
                return Ok(operands);
            }
        }
    }
}
