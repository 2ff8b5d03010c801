package layer

import "os"

// label is what SELinux lets every container read and write (container-selinux). A squashfs has no labels of its own, and those
// of an upper folder would be the host's.
const label = "system_u:object_r:container_file_t:s0"

// enforced says whether SELinux is enforcing: selinux(8), the file is missing where there is none.
func enforced() bool {
	data, err := os.ReadFile("/sys/fs/selinux/enforce")
	return err == nil && string(data) == "1"
}

// imageContext is what is added to the options of mount(8).
func imageContext(enforced bool) string {
	if enforced {
		return ",context=" + label
	}
	return ""
}

// SELinux says whether SELinux is enforcing.
func SELinux() bool { return enforced() }
