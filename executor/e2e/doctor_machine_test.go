package e2e

import (
	"os"
	"strings"
)

// onState is a host whose state directory is mounted.
func onState(driver, mount string) func(p *patient) {
	return func(p *patient) {
		p.withCaches(driver)
		p.unshare = ownNamespaces
		p.script = p.here("mkdir -p -m 0700 DIR/state DIR/a DIR/b DIR/c\n" + mount)
	}
}

// onDisk is one whose state directory is on this machine's disk.
func onDisk(p *patient) { p.unshare = nil }

var brokenState = map[string]brokenHost{
	"the state directory is on an overlay, as in a container": {
		onState("image", "mount -t overlay overlay -o lowerdir=DIR/a,upperdir=DIR/b,workdir=DIR/c DIR/state"),
		finding{"file system", "wrong", "is on an overlay file system", "name with state_dir a folder on a disk"},
		onDisk,
	},
	"the same, for a driver that does without": {
		onState("auto", "mount -t overlay overlay -o lowerdir=DIR/a,upperdir=DIR/b,workdir=DIR/c DIR/state"),
		finding{"file system", "warning", "caches are copied", "name with state_dir"},
		onDisk,
	},
	"the state directory is in memory": {
		onState("copy", "mount -t tmpfs -o mode=0700 tmpfs DIR/state"),
		finding{"file system", "warning", "is in memory (tmpfs)", "name with state_dir a folder on a disk"},
		onDisk,
	},
	"the disk is nearly full": {
		onState("copy", "mount -t tmpfs -o mode=0700,size=300m tmpfs DIR/state\nfallocate -l 100m DIR/state/other"),
		finding{"space", "wrong", "has 200 MiB of 300 MiB free, and with less than 256 MiB jobs get no caches", "make space there: gitlab-go-executor prune"},
		func(p *patient) { p.set("", "max_size = %q", "40m"); p.script += "\nrm " + p.path("state/other") },
	},
	"layers may take more than the disk has": {
		func(p *patient) {
			onState("copy", "mount -t tmpfs -o mode=0700,size=512m tmpfs DIR/state")(p)
			p.set("", "max_size = %q", "20g")
		},
		finding{"space", "warning", "layers may take 20 GiB (max_size), and", `set max_size to "256m" or less`},
		func(p *patient) { p.set("", "max_size = %q", "256m") },
	},
	"others can write to the state directory": {
		func(p *patient) { p.put("state/x", "", 0o600); p.chmod("state", 0o777) },
		finding{"state directory", "wrong", "others than root can write", "chmod 0700 "},
		func(p *patient) { p.chmod("state", 0o700) },
	},
	"the state directory cannot be made": {
		func(p *patient) { p.put("file", "", 0o600); p.set("", "state_dir = %q", p.path("file/state")) },
		finding{"state directory", "wrong", "not a directory", "name with state_dir a folder"},
		func(p *patient) { p.set("", "state_dir = %q", p.path("state")) },
	},
	"the ledger is damaged": {
		func(p *patient) { p.put("state/ledger.db", strings.Repeat("no ledger\n", 1000), 0o600) },
		finding{"ledger", "wrong", "is damaged", "move ledger.db away"},
		func(p *patient) { p.remove("state/ledger.db") },
	},
}

func (p *patient) chmod(name string, mode os.FileMode) {
	p.Helper()
	if err := os.Chmod(p.path(name), mode); err != nil {
		p.Fatal(err)
	}
}

func (p *patient) remove(name string) {
	p.Helper()
	if err := os.Remove(p.path(name)); err != nil {
		p.Fatal(err)
	}
}

// noLoop hides this machine's devices.
const noLoop = `mount -t tmpfs -o mode=0755 tmpfs /dev
mknod -m 666 /dev/null c 1 3
mknod -m 666 /dev/urandom c 1 9`

var brokenKernels = map[string]brokenHost{
	"there are no loop devices": {
		func(p *patient) { p.withCaches("image"); p.unshare, p.script = ownNamespaces, noLoop },
		finding{"kernel", "wrong", "no loop devices", "modprobe loop"},
		func(p *patient) { p.script += "\numount /dev" },
	},
	"the same, for a driver that does without": {
		func(p *patient) { p.withCaches("auto"); p.unshare, p.script = ownNamespaces, noLoop },
		finding{"kernel", "warning", "no loop devices: caches are copied into each job", "modprobe loop"},
		func(p *patient) { p.script += "\numount /dev" },
	},
	"loop devices cannot be opened": {
		func(p *patient) {
			p.withCaches("image")
			p.unshare, p.script = ownNamespaces, noLoop+"\nmknod -m 600 /dev/loop-control c 10 237"
		},
		finding{"mounts", "wrong", "a layer cannot be mounted", "free loop devices"},
		func(p *patient) { p.script += "\numount /dev" },
	},
	"there are no squashfs-tools": {
		func(p *patient) { p.withCaches("image"); p.setPath("/nowhere") },
		finding{"tools", "wrong", "there is no sqfstar, unsquashfs and mount", "install squashfs-tools 4.5 or newer"},
		func(p *patient) { p.setPath("") },
	},
	"squashfs-tools are old": {
		func(p *patient) { p.withCaches("copy"); p.tool("sqfstar", "echo 'sqfstar version 4.4 (2019/08/29)'") },
		finding{"tools", "wrong", "too old: sqfstar version 4.4", "install squashfs-tools 4.5 or newer"},
		func(p *patient) { p.remove("bin/sqfstar") },
	},
}
