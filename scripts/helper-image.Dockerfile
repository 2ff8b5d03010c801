# Runs the Runner's own scripts: git and git-lfs come with the base, and the scripts call the helper as "gitlab-runner".
ARG BASE
FROM $BASE
COPY gitlab-runner-helper /usr/bin/gitlab-runner
# The docker executor calls it by its other name, and the scripts by a script that leaves what they make to all users
# (dockerfiles/runner-helper/helpers/gitlab-runner-build of GitLab Runner).
RUN ln -s gitlab-runner /usr/bin/gitlab-runner-helper \
 && printf '#!/bin/sh\numask 0000\nexec /bin/bash\n' >/usr/bin/gitlab-runner-build && chmod 0755 /usr/bin/gitlab-runner-build
