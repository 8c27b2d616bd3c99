import { type AST, RegExpParser, visitRegExpAST } from '@eslint-community/regexpp';
import { getConsumedChars, isPotentiallyEmpty, type ReadonlyFlags } from 'regexp-ast-analysis';
import { analyse } from 'scslre';
import ts from 'typescript';
import { everyNode, placeOf, type SourceFile } from './sources.ts';

/** A regular expression as it stands in a source file. */
export interface WrittenPattern {
  /** `src/oci/range.ts:56 /^a+$/` */
  readonly place: string;
  /** `undefined` if it is put together from parts that are not constants of its file. */
  readonly literal: { readonly source: string; readonly flags: string } | undefined;
}

/** The patterns of a file: literals, and what is given to `RegExp`. */
export function patternsOf(file: SourceFile): WrittenPattern[] {
  const found: WrittenPattern[] = [];
  everyNode(file.tree, (node) => {
    if (ts.isRegularExpressionLiteral(node)) {
      const end = node.text.lastIndexOf('/');
      const literal = { source: node.text.slice(1, end), flags: node.text.slice(end + 1) };
      found.push({ place: `${placeOf(file, node)} ${node.text}`, literal });
    }
    const isBuilt = (ts.isNewExpression(node) || ts.isCallExpression(node)) && node.expression.getText() === 'RegExp';
    if (!isBuilt) return;
    const [source, flags] = (node.arguments ?? []).map((part) => textOf(part, file.tree));
    const isKnown = source !== undefined && (node.arguments?.length === 1 || flags !== undefined);
    const literal = isKnown ? { source, flags: flags ?? '' } : undefined;
    found.push({ place: `${placeOf(file, node)} ${literal ? `/${source}/${flags ?? ''}` : node.getText()}`, literal });
  });
  return found;
}

/** A text of literals and of constants at the top of its file. */
function textOf(node: ts.Node, tree: ts.SourceFile): string | undefined {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isIdentifier(node)) {
    const [declared] = tree.statements
      .filter(ts.isVariableStatement)
      .flatMap(({ declarationList }) => declarationList.declarations)
      .filter(({ name }) => name.getText(tree) === node.text);
    return declared?.initializer && textOf(declared.initializer, tree);
  }
  if (ts.isTaggedTemplateExpression(node) && ts.isNoSubstitutionTemplateLiteral(node.template))
    return node.tag.getText(tree) === 'String.raw' ? node.template.rawText : undefined;
  if (!ts.isTemplateExpression(node)) return undefined;
  const parts = node.templateSpans.map(({ expression, literal }) => [textOf(expression, tree), literal.text]);
  return parts.some(([value]) => value === undefined) ? undefined : node.head.text + parts.flat().join('');
}

/**
 * Why a pattern may take time that grows with the square of a text, or faster; undefined if it does not. A repetition is
 * reported if it gives characters to another one (`a*b?a*$`), and if it is tried from everywhere: it is reached without a
 * fixed start, accepts what stands before it, and what follows it can fail (`//.*@`).
 */
export function slownessOf({ source, flags }: NonNullable<WrittenPattern['literal']>): string | undefined {
  const [report] = analyse({ source, flags }).reports.filter(({ type }) => type !== 'Move' || !flags.includes('y'));
  if (report) return `${report.type} of ${report.character.literal.source}`;
  if (flags.includes('y')) return undefined;
  const parser = new RegExpParser();
  const parsedFlags = parser.parseFlags(flags);
  let found: string | undefined;
  visitRegExpAST(parser.parsePattern(source, 0, source.length, { unicode: parsedFlags.unicode }), {
    onQuantifierEnter: (node) => {
      if (node.max === Number.POSITIVE_INFINITY && isTriedEverywhere(node, parsedFlags))
        found ??= `${node.raw} is tried from everywhere`;
    },
  });
  return found;
}

function isTriedEverywhere(quantifier: AST.Quantifier, flags: ReadonlyFlags): boolean {
  const own = getConsumedChars(quantifier, flags).chars;
  let canFail = false;
  for (let node: AST.Node = quantifier; node.parent; node = node.parent) {
    if (node.parent.type !== 'Alternative') continue;
    const { elements } = node.parent;
    const index = elements.indexOf(node as AST.Element);
    if (!elements.slice(0, index).every((element) => isWithin(element, own, flags))) return false;
    canFail ||= elements.slice(index + 1).some((element) => !isPotentiallyEmpty(element, flags));
  }
  return canFail;
}

type Chars = ReturnType<typeof getConsumedChars>['chars'];

/** Whether an element can match, or pass over, a text of these characters, in the middle of it. */
function isWithin(element: AST.Element, chars: Chars, flags: ReadonlyFlags): boolean {
  if (element.type === 'Assertion') {
    if (element.kind === 'start') return flags.multiline === true && !chars.isDisjointWith(lineEnds(flags));
    if (element.kind !== 'lookbehind' || !element.negate) return true;
    return !element.alternatives.some((one) => getConsumedChars(one, flags).chars.isSupersetOf(chars));
  }
  if (element.type === 'Group' || element.type === 'CapturingGroup')
    return element.alternatives.some(({ elements }) => elements.every((one) => isWithin(one, chars, flags)));
  if (element.type === 'Quantifier') return element.min === 0 || isWithin(element.element, chars, flags);
  return isPotentiallyEmpty(element, flags) || !getConsumedChars(element, flags).chars.isDisjointWith(chars);
}

function lineEnds(flags: ReadonlyFlags): Chars {
  const source = '[\\n\\r\\u2028\\u2029]';
  return getConsumedChars(new RegExpParser().parsePattern(source, 0, source.length, {}), flags).chars;
}
