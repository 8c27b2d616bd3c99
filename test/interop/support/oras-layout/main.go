// oras-layout uses image layouts as oras does, by the library it is made of, and prints digests.
//
//	oras-layout tags DIR                 the names in a layout
//	oras-layout read DIR NAME [OS/ARCH]  what a name stands for, then all below it, each read and verified
//	oras-layout referrers DIR NAME       what refers to it
//	oras-layout pull REFERENCE DIR       copies from a registry without TLS into a layout, under its tag
//	oras-layout gc DIR                   removes what nothing refers to
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "oras-layout:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	least := map[string]int{"tags": 2, "gc": 2, "read": 3, "referrers": 3, "pull": 3}
	if len(args) == 0 || len(args) < least[args[0]] || least[args[0]] == 0 {
		return fmt.Errorf("not a command with its arguments: %q", args)
	}
	if args[0] == "pull" {
		return pull(ctx, args[1], args[2])
	}
	layout, err := oci.NewWithContext(ctx, args[1])
	if err != nil {
		return err
	}
	switch args[0] {
	case "tags":
		return layout.Tags(ctx, "", printEach)
	case "gc":
		return layout.GC(ctx)
	}
	name, options := args[2], oras.ResolveOptions{}
	if len(args) > 3 {
		system, architecture, _ := strings.Cut(args[3], "/")
		options.TargetPlatform = &ocispec.Platform{OS: system, Architecture: architecture}
	}
	root, err := oras.Resolve(ctx, layout, name, options)
	if err != nil {
		return err
	}
	if args[0] == "read" {
		return read(ctx, layout, root, map[string]bool{})
	}
	found, err := registry.Referrers(ctx, layout, root, "")
	if err != nil {
		return err
	}
	for _, referrer := range found {
		fmt.Println(referrer.Digest, referrer.ArtifactType)
	}
	return nil
}

func printEach(names []string) error {
	for _, name := range names {
		fmt.Println(name)
	}
	return nil
}

func read(ctx context.Context, layout *oci.Store, target ocispec.Descriptor, seen map[string]bool) error {
	if seen[target.Digest.String()] {
		return nil
	}
	seen[target.Digest.String()] = true
	if _, err := content.FetchAll(ctx, layout, target); err != nil {
		return fmt.Errorf("%s: %w", target.Digest, err)
	}
	fmt.Println(target.Digest)
	children, err := content.Successors(ctx, layout, target)
	if err != nil {
		return err
	}
	for _, child := range children {
		if err := read(ctx, layout, child, seen); err != nil {
			return err
		}
	}
	return nil
}

func pull(ctx context.Context, reference, dir string) error {
	repository, err := remote.NewRepository(reference)
	if err != nil {
		return err
	}
	repository.PlainHTTP = true
	layout, err := oci.NewWithContext(ctx, dir)
	if err != nil {
		return err
	}
	tag := repository.Reference.Reference
	root, err := oras.Copy(ctx, repository, tag, layout, tag, oras.DefaultCopyOptions)
	if err == nil {
		fmt.Println(root.Digest)
	}
	return err
}
