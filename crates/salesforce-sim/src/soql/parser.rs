//! Tokens to a query, by recursive descent.
//!
//! `AND` and `OR` may not be mixed on one level without parentheses: Salesforce refuses that as malformed (SOQL guide,
//! "Condition Expression Syntax").

use super::dates::{self, Counted, Word};
use super::error::{Fault, SoqlError};
use super::lexer::{Kind, Token, tokens};
use super::syntax::{
    Expr, Expression, Function, Grouped, Literal, Name, Operator, OrderBy, Query, STANDARD_FIELDS, Value,
};

/// How deep parentheses and NOT may nest, so that a statement cannot exhaust the stack.
const MAX_DEPTH: usize = 64;

/// Parses a statement.
pub(crate) fn parse(statement: &str) -> Result<Query, SoqlError> {
    let mut parser = Parser { tokens: tokens(statement)?, next: 0 };
    let query = parser.query()?;
    parser.unsupported_clause()?;
    match parser.peek() {
        Kind::End => Ok(query),
        _ => Err(parser.unexpected()),
    }
}

struct Parser {
    /// Ends with [`Kind::End`], which is never passed.
    tokens: Vec<Token>,
    next: usize,
}

impl Parser {
    fn peek(&self) -> &Kind {
        &self.tokens[self.next].kind
    }

    fn at(&self) -> usize {
        self.tokens[self.next].at
    }

    fn advance(&mut self) {
        self.next = (self.next + 1).min(self.tokens.len() - 1);
    }

    fn unexpected(&self) -> SoqlError {
        SoqlError::new(Fault::MalformedQuery, self.at(), format!("unexpected token: '{}'", self.peek()))
    }

    fn unsupported(&self, construct: impl std::fmt::Display) -> SoqlError {
        SoqlError::new(Fault::NotImplemented, self.at(), construct.to_string())
    }

    fn is_word(&self, keyword: &str) -> bool {
        matches!(self.peek(), Kind::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn take_word(&mut self, keyword: &str) -> bool {
        let found = self.is_word(keyword);
        if found {
            self.advance();
        }
        found
    }

    fn expect_word(&mut self, keyword: &str) -> Result<(), SoqlError> {
        if self.take_word(keyword) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn take(&mut self, kind: &Kind) -> bool {
        let found = self.peek() == kind;
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, kind: &Kind) -> Result<(), SoqlError> {
        if self.take(kind) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn name(&mut self) -> Result<Name, SoqlError> {
        let Kind::Word(word) = self.peek() else { return Err(self.unexpected()) };
        if RESERVED.iter().any(|reserved| word.eq_ignore_ascii_case(reserved)) {
            return Err(self.unexpected());
        }
        let name = Name { text: word.clone(), at: self.at() };
        if self.tokens.get(self.next + 1).is_some_and(|token| token.kind == Kind::Open) {
            return Err(self.unsupported(format_args!("function {}()", name.text)));
        }
        self.advance();
        Ok(name)
    }

    /// Takes a call of `function` with just these words as arguments; another use of it is outside the subset.
    fn take_call(&mut self, function: &str, arguments: &[&str]) -> Result<bool, SoqlError> {
        let is_call = self.tokens.get(self.next + 1).is_some_and(|token| token.kind == Kind::Open);
        if !self.is_word(function) || !is_call {
            return Ok(false);
        }
        let start = self.next;
        self.next += 2;
        let known = arguments.iter().all(|argument| self.take_word(argument));
        if known && self.take(&Kind::Close) {
            return Ok(true);
        }
        let found = self.peek().to_string();
        self.next = start;
        Err(self.unsupported(format_args!("{function}({found})")))
    }

    /// An aggregate such as `COUNT(Id)`, if one stands here.
    fn aggregate(&mut self) -> Result<Option<Expression>, SoqlError> {
        let Kind::Word(word) = self.peek() else { return Ok(None) };
        let is_call = self.tokens.get(self.next + 1).is_some_and(|token| token.kind == Kind::Open);
        let Some(function) = Function::of(word).filter(|_| is_call) else { return Ok(None) };
        let at = self.at();
        self.next += 2;
        let empty = function == Function::Count && *self.peek() == Kind::Close;
        let field = if empty { None } else { Some(self.name()?) };
        self.expect(&Kind::Close)?;
        Ok(Some(Expression { function: Some(function), field, at }))
    }

    /// An aggregate, or a field.
    fn expression_of_group(&mut self) -> Result<Expression, SoqlError> {
        if let Some(aggregate) = self.aggregate()? {
            return Ok(aggregate);
        }
        let name = self.name()?;
        Ok(Expression { function: None, at: name.at, field: Some(name) })
    }

    /// SELECT of a query with aggregates or groups: each item with its alias.
    fn items(&mut self) -> Result<Vec<(Expression, Option<String>)>, SoqlError> {
        let mut items = Vec::new();
        loop {
            let expression = self.expression_of_group()?;
            let alias = match self.peek() {
                Kind::Word(word) if !word.eq_ignore_ascii_case("FROM") => Some(self.name()?.text),
                _ => None,
            };
            items.push((expression, alias));
            if !self.take(&Kind::Comma) {
                return Ok(items);
            }
        }
    }

    /// Whether the statement has an aggregate in SELECT other than `count()` alone, or groups.
    fn is_grouped(&self) -> bool {
        let is = |token: &Token, keyword: &str| matches!(&token.kind, Kind::Word(word) if word.eq_ignore_ascii_case(keyword));
        let is_aggregate = |pair: &[Token]| {
            let function = matches!(&pair[0].kind, Kind::Word(word) if Function::of(word).is_some());
            function && pair[1].kind == Kind::Open
        };
        let statement = &self.tokens[self.next..];
        let is_count = matches!(statement, [count, open, close, from, ..]
            if is(count, "COUNT") && open.kind == Kind::Open && close.kind == Kind::Close && is(from, "FROM"));
        let mut select = statement.windows(2).take_while(|pair| !is(&pair[0], "FROM"));
        let groups = |pair: &[Token]| is(&pair[0], "GROUP") && is(&pair[1], "BY");
        (select.any(is_aggregate) && !is_count) || statement.windows(2).any(groups)
    }

    fn query(&mut self) -> Result<Query, SoqlError> {
        self.expect_word("SELECT")?;
        let mut grouped = None;
        if self.is_grouped() {
            grouped = Some(Grouped { items: self.items()?, ..Grouped::default() });
        }
        let mut fields = Vec::new();
        while grouped.is_none() {
            if self.is_word("TYPEOF") {
                return Err(self.unsupported("TYPEOF"));
            }
            if *self.peek() == Kind::Open {
                return Err(self.unsupported("subquery in SELECT"));
            }
            if fields.is_empty() && self.take_call("count", &[])? {
                break;
            }
            let at = self.at();
            if self.take_call("FIELDS", &["STANDARD"])? {
                fields.push(Name { text: STANDARD_FIELDS.to_owned(), at });
            } else {
                fields.push(self.name()?);
            }
            if !self.take(&Kind::Comma) {
                break;
            }
        }
        self.expect_word("FROM")?;
        let object = self.name()?;
        if *self.peek() == Kind::Comma {
            return Err(self.unsupported("several objects in FROM"));
        }
        if self.is_word("AS") || matches!(self.peek(), Kind::Word(word) if !is_clause(word)) {
            return Err(self.unsupported("object alias"));
        }
        let filter = if self.take_word("WHERE") { Some(self.expression(0)?) } else { None };
        if self.is_word("USING") || self.is_word("WITH") {
            self.unsupported_clause()?;
        }
        if let Some(grouped) = grouped.as_mut()
            && self.take_word("GROUP")
        {
            self.expect_word("BY")?;
            loop {
                grouped.by.push(self.name()?);
                if !self.take(&Kind::Comma) {
                    break;
                }
            }
        }
        if self.is_word("HAVING") {
            self.unsupported_clause()?;
        }
        let mut order = Vec::new();
        if self.take_word("ORDER") {
            self.expect_word("BY")?;
            loop {
                match grouped.as_mut() {
                    Some(grouped) => {
                        let expression = self.expression_of_group()?;
                        let (descending, nulls_last) = self.direction()?;
                        grouped.order.push((expression, descending, nulls_last));
                    }
                    None => {
                        let field = self.name()?;
                        let (descending, nulls_last) = self.direction()?;
                        order.push(OrderBy { field, descending, nulls_last });
                    }
                }
                if !self.take(&Kind::Comma) {
                    break;
                }
            }
        }
        let mut limit = if self.take_word("LIMIT") { Some(self.count()?) } else { None };
        if let Some(grouped) = grouped.as_mut() {
            grouped.limit = limit.take();
        }
        Ok(Query { fields, grouped, object, filter, order, limit })
    }

    fn count(&mut self) -> Result<usize, SoqlError> {
        match *self.peek() {
            Kind::Number(n) if n >= 0.0 && n.fract() == 0.0 => {
                self.advance();
                Ok(n as usize)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// What stands behind a term of ORDER BY: whether it is descending, and whether without value comes last.
    fn direction(&mut self) -> Result<(bool, bool), SoqlError> {
        let descending = self.take_word("DESC");
        if !descending {
            self.take_word("ASC");
        }
        let mut nulls_last = false;
        if self.take_word("NULLS") {
            nulls_last = self.take_word("LAST");
            if !nulls_last {
                self.expect_word("FIRST")?;
            }
        }
        Ok((descending, nulls_last))
    }

    /// Terms joined by AND alone or by OR alone.
    fn expression(&mut self, depth: usize) -> Result<Expr, SoqlError> {
        let first = self.term(depth)?;
        let (joint, other, join): (_, _, fn(Vec<Expr>) -> Expr) =
            if self.is_word("AND") { ("AND", "OR", Expr::And) } else { ("OR", "AND", Expr::Or) };
        if !self.is_word(joint) {
            return Ok(first);
        }
        let mut terms = vec![first];
        while self.take_word(joint) {
            terms.push(self.term(depth)?);
        }
        if self.is_word(other) { Err(self.unexpected()) } else { Ok(join(terms)) }
    }

    fn term(&mut self, depth: usize) -> Result<Expr, SoqlError> {
        if depth > MAX_DEPTH {
            return Err(self.unsupported(format_args!("conditions nested deeper than {MAX_DEPTH}")));
        }
        if self.take_word("NOT") {
            return Ok(Expr::Not(Box::new(self.term(depth + 1)?)));
        }
        if self.take(&Kind::Open) {
            let inner = self.expression(depth + 1)?;
            self.expect(&Kind::Close)?;
            return Ok(inner);
        }
        let field = self.name()?;
        if self.is_word("INCLUDES") || self.is_word("EXCLUDES") {
            return Err(self.unsupported(format_args!("operator {}", self.peek())));
        }
        let negated = self.take_word("NOT");
        if self.take_word("IN") {
            return Ok(Expr::In { field, values: self.list()?, negated });
        }
        if negated {
            return Err(self.unexpected());
        }
        let operator = self.operator()?;
        Ok(Expr::Compare { field, operator, value: self.value()? })
    }

    fn operator(&mut self) -> Result<Operator, SoqlError> {
        let operator = match self.peek() {
            Kind::Operator("=") => Operator::Equal,
            Kind::Operator("!=") => Operator::NotEqual,
            Kind::Operator("<") => Operator::Less,
            Kind::Operator("<=") => Operator::LessOrEqual,
            Kind::Operator(">") => Operator::Greater,
            Kind::Operator(">=") => Operator::GreaterOrEqual,
            Kind::Word(word) if word.eq_ignore_ascii_case("LIKE") => Operator::Like,
            _ => return Err(self.unexpected()),
        };
        self.advance();
        Ok(operator)
    }

    fn list(&mut self) -> Result<Vec<Value>, SoqlError> {
        self.expect(&Kind::Open)?;
        if self.is_word("SELECT") {
            return Err(self.unsupported("semi-join (SELECT inside IN)"));
        }
        let mut values = vec![self.value()?];
        while self.take(&Kind::Comma) {
            values.push(self.value()?);
        }
        self.expect(&Kind::Close)?;
        Ok(values)
    }

    fn value(&mut self) -> Result<Value, SoqlError> {
        let literal = match self.peek() {
            Kind::Text(text) => Literal::Text(text.clone()),
            Kind::Number(number) => Literal::Number(*number),
            Kind::DateTime(time) => Literal::DateTime(*time),
            Kind::Date => Literal::Date,
            Kind::Word(word) => match word.to_ascii_uppercase().as_str() {
                "NULL" => Literal::Null,
                "TRUE" => Literal::Boolean(true),
                "FALSE" => Literal::Boolean(false),
                upper => match dates::word(upper) {
                    Some(Word::Alone(relative)) => Literal::Relative(relative),
                    Some(Word::Counted(counted)) => return self.counted(upper.to_owned().as_str(), counted),
                    None if upper.contains("_FISCAL_") => {
                        return Err(self.unsupported(format_args!("date literal {upper}")));
                    }
                    None => return Err(self.unexpected()),
                },
            },
            _ => return Err(self.unexpected()),
        };
        let value = Value { literal, at: self.at() };
        self.advance();
        Ok(value)
    }

    /// A date literal with its number, such as `LAST_N_DAYS:n`.
    fn counted(&mut self, name: &str, counted: Counted) -> Result<Value, SoqlError> {
        const MOST: f64 = 100_000.0;
        let at = self.at();
        self.advance();
        self.expect(&Kind::Colon)?;
        match *self.peek() {
            Kind::Number(n) if n.fract() == 0.0 && (1.0..=MOST).contains(&n) => {
                self.advance();
                Ok(Value { literal: Literal::Relative(counted.with(n as i64)), at })
            }
            // Whether Salesforce takes it for the present day, or not at all, no page says.
            Kind::Number(0.0) => Err(self.unsupported(format_args!("date literal {name}:0"))),
            _ => Err(self.unexpected()),
        }
    }

    /// Names a clause that SOQL has and this subset has not.
    fn unsupported_clause(&self) -> Result<(), SoqlError> {
        match self.peek() {
            Kind::Word(word)
                if UNSUPPORTED_CLAUSES.iter().any(|clause| word.eq_ignore_ascii_case(clause)) =>
            {
                Err(self.unsupported(format_args!("clause {}", word.to_ascii_uppercase())))
            }
            _ => Ok(()),
        }
    }
}

const RESERVED: [&str; 12] =
    ["SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "IN", "LIKE", "ORDER", "LIMIT", "GROUP", "HAVING"];
const UNSUPPORTED_CLAUSES: [&str; 7] = ["USING", "WITH", "HAVING", "OFFSET", "FOR", "UPDATE", "ALL"];

fn is_clause(word: &str) -> bool {
    ["WHERE", "GROUP", "ORDER", "LIMIT"]
        .iter()
        .chain(&UNSUPPORTED_CLAUSES)
        .any(|clause| word.eq_ignore_ascii_case(clause))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(statement: &str) -> (Fault, String) {
        let error = parse(statement).unwrap_err();
        (error.fault, error.message)
    }

    #[test]
    fn a_whole_statement_parses() {
        let query = parse(
            "select Id, LogDate from EventLogFile where (EventType in ('Login', 'Logout') or not Sequence = 0) \
             and CreatedDate >= 2026-01-02T03:04:05.678Z order by CreatedDate desc nulls last, Id limit 10",
        )
        .unwrap();
        assert_eq!(query.fields.len(), 2);
        assert_eq!(query.limit, Some(10));
        assert_eq!(query.order.len(), 2);
        assert!(query.order[0].descending && query.order[0].nulls_last);
        let Some(Expr::And(terms)) = query.filter else { panic!("{:?}", query.filter) };
        assert!(matches!(&terms[0], Expr::Or(inner) if matches!(inner[1], Expr::Not(_))));
    }

    #[test]
    fn count_and_standard_fields_are_understood() {
        assert!(parse("SELECT COUNT() FROM X").unwrap().fields.is_empty());
        let query = parse("SELECT fields( standard ), Id FROM X").unwrap();
        assert_eq!((query.fields[0].text.as_str(), query.fields.len()), (STANDARD_FIELDS, 2));
        let grouped = |statement: &str| parse(statement).unwrap().grouped.map(|grouped| grouped.items.len());
        assert_eq!(grouped("SELECT COUNT() FROM X"), None, "it is the total, and no row");
        assert_eq!(grouped("SELECT count(Id), max(a) last FROM X"), Some(2));
        assert_eq!(grouped("SELECT a FROM X GROUP BY a ORDER BY count(Id) DESC LIMIT 3"), Some(1));
        assert_eq!(fault("SELECT count(Id FROM X").0, Fault::MalformedQuery);
        assert_eq!(fault("SELECT max() FROM X").0, Fault::MalformedQuery);
        assert_eq!(fault("SELECT Id FROM X GROUP BY").0, Fault::MalformedQuery);
    }

    #[test]
    fn and_mixed_with_or_needs_parentheses() {
        let (fault, message) = fault("SELECT Id FROM X WHERE a = 1 AND b = 2 OR c = 3");
        assert_eq!((fault, message.as_str()), (Fault::MalformedQuery, "unexpected token: 'OR'"));
    }

    #[test]
    fn what_is_not_soql_is_malformed() {
        for statement in [
            "",
            "SELECT",
            "SELECT FROM X",
            "SELECT Id, FROM X",
            "SELECT Id X",
            "SELECT Id FROM X WHERE",
            "SELECT Id FROM X WHERE a",
            "SELECT Id FROM X WHERE a = ",
            "SELECT Id FROM X WHERE (a = 1",
            "SELECT Id FROM X WHERE a = 1)",
            "SELECT Id FROM X WHERE a IN ()",
            "SELECT Id FROM X WHERE a = :b",
            "SELECT Id FROM X WHERE a = LAST_N_DAYS",
            "SELECT Id FROM X WHERE a = LAST_N_DAYS:1.5",
            "SELECT Id FROM X WHERE a = LAST_N_DAYS:x",
            "SELECT Id FROM X WHERE a = TODAY:1",
            "SELECT Id FROM X LIMIT -1",
            "SELECT Id FROM X LIMIT 'a'",
            "SELECT Id FROM X ORDER Id",
            "SELECT Id FROM X ORDER BY Id NULLS",
            "SELECT Id FROM X LIMIT 1 ORDER BY Id",
            "SELECT Id FROM X ; DROP",
        ] {
            assert_eq!(fault(statement).0, Fault::MalformedQuery, "{statement}");
        }
    }

    #[test]
    fn legal_soql_outside_the_subset_is_named() {
        for (statement, construct) in [
            ("SELECT FIELDS(ALL) FROM X", "FIELDS(ALL)"),
            ("SELECT calendar_year(Id) FROM X", "function calendar_year()"),
            ("SELECT (SELECT Id FROM Y) FROM X", "subquery in SELECT"),
            ("SELECT TYPEOF What WHEN A THEN Id END FROM X", "TYPEOF"),
            ("SELECT Id FROM X y", "object alias"),
            ("SELECT Id FROM X WHERE Id IN (SELECT Id FROM Y)", "semi-join (SELECT inside IN)"),
            ("SELECT Id FROM X WHERE d > LAST_FISCAL_YEAR", "date literal LAST_FISCAL_YEAR"),
            ("SELECT Id FROM X WHERE d > LAST_N_DAYS:0", "date literal LAST_N_DAYS:0"),
            ("SELECT Id FROM X GROUP BY Id HAVING count(Id) > 1", "clause HAVING"),
            ("SELECT Id FROM X WHERE m INCLUDES ('a')", "operator INCLUDES"),
            ("SELECT Id FROM X LIMIT 5 OFFSET 5", "clause OFFSET"),
            ("SELECT Id FROM X FOR VIEW", "clause FOR"),
        ] {
            assert_eq!(fault(statement), (Fault::NotImplemented, construct.to_owned()), "{statement}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_before_it_exhausts_the_stack() {
        let statement = format!("SELECT Id FROM X WHERE {}a = 1", "(".repeat(100_000));
        assert_eq!(fault(&statement).0, Fault::NotImplemented);
    }

    #[test]
    fn an_error_points_at_its_position() {
        let statement = "SELECT Id\nFROM X WHERE a ! 1";
        let rendered = parse(statement).unwrap_err().render(statement);
        assert!(rendered.contains("ERROR at Row:2:Column:16"), "{rendered}");
    }
}
