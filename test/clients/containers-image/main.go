// Pulls with the library that podman, buildah, skopeo and CRI-O pull with, in a version of today: where their current commands cannot be had, this stands for them.
//
//	containers-image pull <host>/<reference> <directory>
//	containers-image login <host>
//
// Environment: KEY (API key), CERT_DIR (directory with a private CA; without it the registry speaks plain HTTP), PLATFORM (os/architecture[/variant]).
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/directory"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/types"
)

func main() {
	system := &types.SystemContext{DockerCertPath: os.Getenv("CERT_DIR"), AuthFilePath: "/dev/null"}
	if system.DockerCertPath == "" {
		system.DockerInsecureSkipTLSVerify = types.OptionalBoolTrue
	}
	if key := os.Getenv("KEY"); key != "" {
		system.DockerAuthConfig = &types.DockerAuthConfig{Username: "anyone", Password: key}
	} else {
		system.DockerAuthConfig = &types.DockerAuthConfig{}
	}
	var platform string
	system.OSChoice, platform, _ = strings.Cut(os.Getenv("PLATFORM"), "/")
	system.ArchitectureChoice, system.VariantChoice, _ = strings.Cut(platform, "/")
	if err := run(context.Background(), system, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, system *types.SystemContext, args []string) error {
	if args[0] == "login" {
		return docker.CheckAuth(ctx, system, "anyone", os.Getenv("KEY"), args[1])
	}
	source, err := docker.ParseReference("//" + args[1])
	if err != nil {
		return err
	}
	destination, err := directory.NewReference(args[2])
	if err != nil {
		return err
	}
	policy, err := signature.NewPolicyContext(&signature.Policy{Default: signature.PolicyRequirements{signature.NewPRInsecureAcceptAnything()}})
	if err != nil {
		return err
	}
	_, err = copy.Image(ctx, policy, destination, source, &copy.Options{SourceCtx: system, ReportWriter: os.Stdout})
	return err
}
