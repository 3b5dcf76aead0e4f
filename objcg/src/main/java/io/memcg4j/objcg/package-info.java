/** Who pays: object cgroups, scopes and byte stocks. */
package io.memcg4j.objcg;
