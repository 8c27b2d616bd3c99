import { readdir, readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
  readonly dynamic: boolean;
}

export interface SourceFile {
  /** Below src, without `.ts`: `oci/reference`. */
  readonly name: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
  readonly imports: readonly Import[];
}

export function everyNode(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => everyNode(child, visit));
}

function importsOf(tree: ts.SourceFile): Import[] {
  const imports: Import[] = [];
  everyNode(tree, (node) => {
    if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier) {
      const specifier = (node.moduleSpecifier as ts.StringLiteral).text;
      const phase = ts.isImportDeclaration(node) ? node.importClause?.phaseModifier : undefined;
      const typeOnly = ts.isExportDeclaration(node) ? node.isTypeOnly : phase === ts.SyntaxKind.TypeKeyword;
      imports.push({ specifier, typeOnly, dynamic: false });
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [argument] = node.arguments;
      const specifier = argument && ts.isStringLiteralLike(argument) ? argument.text : '(computed)';
      imports.push({ specifier, typeOnly: false, dynamic: true });
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      const literal = node.argument.literal as ts.StringLiteral;
      imports.push({ specifier: literal.text, typeOnly: true, dynamic: false });
    }
  });
  return imports;
}

export async function readSources(): Promise<SourceFile[]> {
  const paths = (await readdir(join(root, 'src'), { recursive: true })).filter((path) => path.endsWith('.ts')).sort();
  return Promise.all(
    paths.map(async (path) => {
      const text = await readFile(join(root, 'src', path), 'utf8');
      const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
      return { name: path.replaceAll('\\', '/').replace(/\.ts$/, ''), text, tree, imports: importsOf(tree) };
    }),
  );
}

export const groupOf = (name: string): string => name.split('/')[0] ?? name;
export const lineOf = (tree: ts.SourceFile, node: ts.Node): number =>
  tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1;
export const placeOf = (file: SourceFile, node: ts.Node): string => `src/${file.name}.ts:${lineOf(file.tree, node)}`;

/** The path below src that a relative import names, `undefined` for a package. */
export function targetOf(file: SourceFile, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  return posix.join(posix.dirname(file.name), specifier).replace(/\.ts$/, '');
}
