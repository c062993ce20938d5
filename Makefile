# A newcomer's two commands: `make demo` and `make test`. Everything they need, they make or install.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup build install install-data uninstall deb demo no-old-demo readme-picture test test-threads lint eval bench book train-mini clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing: Debian packages, and ROS 2 Jazzy into .ros/ unless a ROS 2 is sourced
	@scripts/setup_ros.sh

build: setup ## interfaces into install/, lisa and lisa_node into target/release/
	@scripts/build.sh

install: build ## put lisa, its manual pages, completions and lisa-mini below PREFIX (default ~/.local)
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' STRIP='$(STRIP)' scripts/install.sh

install-data: ## the same without the program, for a lisa that `cargo install` has put on the PATH
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/install.sh --data

uninstall: ## remove what make install has put below PREFIX
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/install.sh --uninstall

deb: build ## a Debian package of lisa and its model, target/debian/*.deb
	@scripts/deb.sh

demo: no-old-demo build ## ask the node four questions over a real ROS 2 graph and pick what it finds; pictures and answers.json go into demo/
	@scripts/demo.sh

# First of all, so that a build which fails or is stopped leaves no pictures of an earlier run either.
no-old-demo:
	@rm -rf demo

readme-picture: demo ## the demo, and its first picture as docs/demo.png, which README shows
	@source scripts/env.sh && python3 scripts/readme_picture.py demo/overlay.png docs/demo.png

test: ## everything that is tested, part by part, to the end: says first what that is and how long it takes
	@scripts/test.sh

test-threads: ## the tests of numbers, with 1, 2 and 3 threads
	@scripts/test.sh numeric --threads 1,2,3

lint: ## format and clippy, with and without the feature ros
	@scripts/test.sh lint

eval: build ## measure lisa-mini on the sample recording; writes evaluation/report.html
	@scripts/eval.sh

bench: build ## compare with PyTorch on this machine, SHAPES=small,lisa-mini by default: 25 minutes; installs it into .bench/ (6 GB)
	@scripts/bench.sh $(if $(SHAPES),--shapes '$(SHAPES)') $(if $(CYCLES),--cycles '$(CYCLES)')

book: ## the documents as a book, target/book/index.html; installs mdbook into .book/ where there is none
	@"$$(scripts/setup_book.sh)" build && echo "book: target/book/index.html"

train-mini: build ## train lisa-mini on TableWorld, from nothing: some hours on two cores; stops and goes on at any moment
	@scripts/train_mini.sh

clean: ## remove what was built, not what was installed into .ros/, .rosbags/, .bench/ and .book/
	rm -rf target build install log demo evaluation .cache
